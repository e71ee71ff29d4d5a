package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tinyforge/db"
)

const (
	streamWrite = 15 * time.Second       // for one event to be taken
	streamPulse = 15 * time.Second       // between signs of life
	streamLife  = 10 * time.Minute       // then the browser connects again, and is looked at again
	streamCheck = 5 * time.Second        // between looks at who is signed in
	streamPause = 300 * time.Millisecond // between looks at what changed
)

// EndStreams ends all streams of events, now and later, so that a server which shuts down does not wait for them. Browsers
// connect again by themselves. It may be called more than once.
func (s *Settings) EndStreams() { s.endOnce.Do(func() { close(s.ended) }) }

// stream is an answer that goes on: server-sent events.
type stream struct {
	*visit
	control *http.ResponseController
	pulse   time.Time // when something was last sent
	checked time.Time // when it was last looked at who is signed in
}

// change is what an event tells a page: what it is to show from now on, by the ids of its elements.
type change struct {
	Title string            `json:"title,omitempty"`
	Icon  string            `json:"icon,omitempty"`
	Parts map[string]string `json:"parts"`
	Done  bool              `json:"done,omitempty"` // nothing more will come
}

// stream begins one, and calls look at once and whenever something may have changed, until it says that it is done, who
// asked is gone or may not see it any more, or the server ends.
func (v *visit) stream(topics []db.Topic, pause time.Duration, look func(*stream) (done bool, err error)) error {
	v.w.Header().Set("Content-Type", "text/event-stream")
	if v.r.Method == http.MethodHead {
		return nil
	}
	leave, err := v.streams.enter(v.user.ID)
	if err != nil {
		return err
	}
	defer leave()
	st := &stream{visit: v, control: http.NewResponseController(v.w), checked: time.Now()}
	if err := errors.Join(st.control.SetReadDeadline(time.Time{}), st.allow()); err != nil {
		return fmt.Errorf("begin stream: %w", err)
	}
	v.w.Header().Set("X-Accel-Buffering", "no") // a proxy in front passes events on at once
	wake := make(chan struct{}, 1)
	for _, topic := range topics {
		woken, cancel := v.DB.Subscribe(topic)
		defer cancel()
		stop := make(chan struct{})
		defer close(stop)
		go pass(woken, wake, stop)
	}
	if err := st.send("retry: 2000\n\n"); err != nil {
		return nil
	}
	end := time.After(streamLife)
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for changed := true; ; {
		if changed {
			done, err := st.over()
			if !done && err == nil {
				done, err = look(st)
			}
			if err != nil && v.r.Context().Err() == nil {
				v.Log.WarnContext(v.r.Context(), "stream of events", "path", v.r.URL.Path, "error", err)
			}
			if done || err != nil {
				return nil
			}
		}
		if time.Since(st.pulse) > streamPulse && st.send(": \n\n") != nil {
			return nil
		}
		select { // not more often than the pause
		case <-v.r.Context().Done():
			return nil
		case <-v.ended:
			return nil
		case <-end:
			return nil
		case <-tick.C:
		}
		changed = len(topics) == 0
		select {
		case <-wake:
			changed = true
		default:
		}
	}
}

// over tells whether who asked may not see it any more: the session has ended, or the user has another role.
func (st *stream) over() (bool, error) {
	if time.Since(st.checked) < st.recheck {
		return false, nil
	}
	st.checked, st.user = time.Now(), db.User{}
	err := st.recognize()
	return st.user.ID == 0 || !st.user.Role.May(st.needs), err
}

// pass hands wake-ups on until stop is closed.
func pass(from <-chan struct{}, to chan<- struct{}, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-from:
			select {
			case to <- struct{}{}:
			default:
			}
		}
	}
}

// allow gives the next event time to be taken, whatever the server allows an answer.
func (st *stream) allow() error { return st.control.SetWriteDeadline(time.Now().Add(streamWrite)) }

func (st *stream) send(text string) error {
	st.pulse = time.Now()
	if err := st.allow(); err != nil {
		return err
	}
	if _, err := st.w.Write([]byte(text)); err != nil {
		return err
	}
	return st.control.Flush()
}

// event sends one. An id is what the browser gives back when it connects again; "" is none.
func (st *stream) event(name, id, data string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "event: %s\n", name)
	if id != "" {
		fmt.Fprintf(&b, "id: %s\n", id)
	}
	for line := range strings.SplitSeq(data, "\n") {
		fmt.Fprintf(&b, "data: %s\n", line)
	}
	return st.send(b.String() + "\n")
}

// change sends what a page is to show, unless it is what was sent last.
func (st *stream) change(c change, last *[]byte) error {
	text, err := json.Marshal(c)
	if err != nil || bytes.Equal(text, *last) {
		return err
	}
	*last = text
	return st.event("change", "", string(text))
}

// part renders a part of a page.
func (st *stream) part(page, name string, data any) (string, error) {
	html, err := st.Templates.Part(st.Printer, page, name, data)
	return string(html), err
}

var movements = []db.Topic{db.TopicPhase, db.TopicQueued, db.TopicWorkloads}

// overviewEvents keeps the overview up to date.
func (v *visit) overviewEvents() error {
	var last []byte
	return v.stream(movements, time.Second, func(st *stream) (bool, error) {
		page, err := v.overview(v.r.URL.Query())
		if err != nil {
			return false, err
		}
		rows, err := st.part("overview/list", "rows", page)
		if err != nil {
			return false, err
		}
		return false, st.change(change{Parts: map[string]string{"rows": rows}}, &last)
	})
}

// workloadEvents keeps a workload's page up to date.
func (v *visit) workloadEvents() error {
	var last []byte
	return v.stream(movements, time.Second, func(st *stream) (bool, error) {
		w, repo, err := v.editedWorkload()
		if err != nil {
			return true, nil
		}
		page, err := v.workloadPage(w, repo)
		if err != nil {
			return false, err
		}
		v.inspect(page)
		c := change{Parts: map[string]string{}}
		for _, name := range []string{"live", "kept", "recent"} {
			if c.Parts[name], err = st.part("overview/workload", name, page); err != nil {
				return false, err
			}
		}
		return false, st.change(c, &last)
	})
}

// deploymentEvents sends a deployment's log as it grows, and its phases, until it has ended.
func (v *visit) deploymentEvents() error {
	w, dep, err := v.namedDeployment()
	if err != nil {
		return err
	}
	next, err := strconv.Atoi(v.r.Header.Get("Last-Event-ID"))
	if err != nil {
		next, _ = strconv.Atoi(v.r.URL.Query().Get("after"))
	}
	next++
	var last []byte
	var shown db.Phase
	var at time.Time
	return v.stream(nil, streamPause, func(st *stream) (bool, error) {
		dep, err := v.DB.Deployment(v.r.Context(), dep.ID) // before the log: one that has ended has all of it
		if errors.Is(err, db.ErrNotFound) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if next, err = st.lines(dep, next); err != nil {
			return false, err
		}
		if dep.Phase == shown && time.Since(at) < time.Second {
			return false, nil
		}
		shown, at = dep.Phase, time.Now()
		page, err := v.deploymentPage(w, dep)
		if err != nil {
			return false, err
		}
		icon, err := v.Templates.Static().URL(deploymentIcon(dep))
		if err != nil {
			return false, err
		}
		c := change{Title: deploymentTitle(w, dep), Icon: icon, Done: dep.Phase.Final(), Parts: map[string]string{}}
		for _, name := range []string{"state", "buttons", "failed", "facts", "phases", "said"} {
			if c.Parts[name], err = st.part("deployments/deployment", name, page); err != nil {
				return false, err
			}
		}
		return c.Done, st.change(c, &last)
	})
}

// lines sends what the log has from a line on, and returns the number of the line after.
func (st *stream) lines(dep db.Deployment, next int) (int, error) {
	for {
		lines, err := st.DB.LogFrom(st.r.Context(), dep.ID, next, logBlock)
		if err != nil || len(lines) == 0 {
			return next, err
		}
		html := st.blocks(lines, next, "")[0]
		next += len(lines)
		if err := st.event("log", strconv.Itoa(next-1), string(html)); err != nil || len(lines) < logBlock {
			return next, err
		}
	}
}
