package docker

import (
	"fmt"
	"strings"
	"time"

	"github.com/docker/docker/pkg/jsonmessage"
	"github.com/docker/go-units"
)

// pushProgress writes what the engine tells about a push as a log for people: each layer when it is there, and now and then how
// much was sent.
type pushProgress struct {
	out   *lines
	sent  map[string]int64 // bytes, by layer
	again map[string]bool  // that a layer waits to be sent again, which the engine says each second
	next  time.Time        // when it says again how far it is
	pause time.Duration
	told  int64 // bytes, when it said so last
}

func newPushProgress(out *lines) *pushProgress {
	return &pushProgress{out: out, sent: map[string]int64{}, again: map[string]bool{}, next: time.Now().Add(pullSpeaksFirst), pause: pullSpeaksFirst}
}

func (p *pushProgress) show(m jsonmessage.JSONMessage) {
	if strings.HasPrefix(m.Status, "Retrying in ") {
		if !p.again[m.ID] {
			p.out.emit(cleanLine(m.ID + ": It did not get through, and is sent again"))
		}
		p.again[m.ID] = true
		return
	}
	delete(p.again, m.ID)
	switch m.Status {
	case "Preparing", "Waiting":
	case "Pushing":
		if m.Progress != nil {
			p.sent[m.ID] = max(p.sent[m.ID], m.Progress.Current)
		}
	default:
		switch {
		case m.Status == "", strings.Contains(m.Status, ": digest: "): // by which it can be read
		case m.ID != "":
			p.out.emit(cleanLine(m.ID + ": " + m.Status))
		default:
			p.out.emit(cleanLine(m.Status))
		}
	}
	if now := time.Now(); !now.Before(p.next) {
		p.pause = min(2*p.pause, pullSpeaksLast)
		p.next = now.Add(p.pause)
		p.speak()
	}
}

// speak says how much was sent, unless that is nothing new.
func (p *pushProgress) speak() {
	var sent int64
	for _, n := range p.sent {
		sent += n
	}
	if sent > p.told {
		p.told = sent
		p.out.emit(fmt.Sprintf("Sent %s", units.HumanSizeWithPrecision(float64(sent), 3)))
	}
}
