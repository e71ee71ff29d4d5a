package docker

import (
	"fmt"
	"time"

	"github.com/docker/docker/pkg/jsonmessage"
	"github.com/docker/go-units"
)

// Pauses between two lines about how far a pull is: they double, so that a long one does not flood the log.
const (
	pullSpeaksFirst = 3 * time.Second
	pullSpeaksLast  = 30 * time.Second
)

// pullProgress writes what the engine tells about a pull as a log for people: each layer when it is there, and now and then
// how much of those that are known has come.
type pullProgress struct {
	out    *lines
	layers map[string]*pullLayer
	next   time.Time // when it says again how far it is
	pause  time.Duration
	told   int64 // bytes, when it said so last
}

// pullLayer is a layer that is fetched.
type pullLayer struct {
	done, size        int64 // bytes; size is 0 until it is known
	fetched, complete bool
}

func newPullProgress(out *lines) *pullProgress {
	return &pullProgress{out: out, layers: map[string]*pullLayer{}, pause: pullSpeaksFirst}
}

// show takes a message that came at a time.
func (p *pullProgress) show(m jsonmessage.JSONMessage, now time.Time) {
	if p.next.IsZero() {
		p.next = now.Add(p.pause)
	}
	switch m.Status {
	case "Pulling fs layer", "Waiting":
		p.layer(m.ID)
	case "Downloading":
		p.downloading(m)
	case "Download complete", "Verifying Checksum":
		l := p.layer(m.ID)
		l.done, l.fetched = l.size, true
	case "Pull complete":
		l := p.layer(m.ID)
		l.done, l.fetched, l.complete = l.size, true, true
		p.out.emit(cleanLine(m.ID + ": " + m.Status))
	case "Already exists":
		p.out.emit(cleanLine(m.ID + ": " + m.Status))
	case "Extracting":
	default:
		if m.ID == "" && m.Status != "" {
			p.out.emit(cleanLine(m.Status))
		}
	}
	if !now.Before(p.next) {
		p.pause = min(2*p.pause, pullSpeaksLast)
		p.next = now.Add(p.pause)
		p.speak()
	}
}

func (p *pullProgress) layer(id string) *pullLayer {
	l := p.layers[id]
	if l == nil {
		l = &pullLayer{}
		p.layers[id] = l
	}
	return l
}

// downloading counts what has come of a layer. A download that broke off begins anew.
func (p *pullProgress) downloading(m jsonmessage.JSONMessage) {
	if m.Progress == nil {
		return
	}
	l := p.layer(m.ID)
	l.done = max(0, m.Progress.Current)
	l.size = max(m.Progress.Total, l.done)
}

// speak says how far it is, unless that is nothing new.
func (p *pullProgress) speak() {
	var done, size int64
	complete, unknown := 0, false
	for _, l := range p.layers {
		done, size = done+l.done, size+l.size
		unknown = unknown || l.size == 0 && !l.fetched
		if l.complete {
			complete++
		}
	}
	if done == p.told || size == 0 {
		return
	}
	p.told = done
	atLeast := ""
	if unknown { // the engine asks for some layers at a time only
		atLeast = "at least "
	}
	p.out.emit(fmt.Sprintf("Downloaded %s of %s%s, %d of %d layers are there",
		units.HumanSizeWithPrecision(float64(done), 3), atLeast, units.HumanSizeWithPrecision(float64(size), 3), complete, len(p.layers)))
}
