package docker

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

func TestWatchReconnects(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	r := release(e, sampleImage(t, e))
	f := newFront(t, e, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen, left := make(chan db.ReleaseID, 100), make(chan error, 1)
	go func() { left <- f.engine(e).Watch(ctx, func(id db.ReleaseID) { seen <- id }) }()
	next := func(want db.ReleaseID) {
		t.Helper()
		select {
		case id := <-seen:
			if id != want {
				t.Fatalf("told of %q, want %q", id, want)
			}
		case <-ctx.Done():
			t.Fatalf("not told of %q", want)
		}
	}
	next("")
	start(t, e, r)
	next(r.ID)
	f.cut()
	if err := e.Stop(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	start(t, e, r) // unseen
	f.restore()
	next("")
	if err := e.docker.ContainerKill(t.Context(), string(r.ID), "KILL"); err != nil {
		t.Fatal(err)
	}
	next(r.ID)
	if in := inspect(t, e, r.ID); in.State != deploy.Exited || in.Upstream != (deploy.Upstream{}) {
		t.Errorf("told of its end, it is %+v", in)
	}
	start(t, e, r)
	next(r.ID)
	cancel()
	if err := <-left; err != nil {
		t.Errorf("Watch returns %v", err)
	}
}

// TestWatchSaysOnceThatDockerIsAway: a log that repeats itself hides what else is in it.
func TestWatchSaysOnceThatDockerIsAway(t *testing.T) {
	e := testEngine(t)
	var log bytes.Buffer
	e.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	var away atomic.Bool
	away.Store(true)
	tried := make(chan struct{}, 100)
	f := newFront(t, e, func(w http.ResponseWriter, r *http.Request) bool {
		if !under(r, "/_ping") || !away.Load() {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		if r.Method == http.MethodGet {
			tried <- struct{}{}
		}
		return true
	})
	through := f.engine(e)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	back, left := make(chan struct{}, 100), make(chan error, 1)
	go func() { left <- through.Watch(ctx, func(db.ReleaseID) { back <- struct{}{} }) }()
	for range 3 {
		<-tried
	}
	away.Store(false)
	<-back
	away.Store(true)
	f.cut()
	f.restore()
	for range 3 {
		<-tried
	}
	away.Store(false)
	<-back
	cancel()
	if err := <-left; err != nil {
		t.Errorf("Watch returns %v", err)
	}
	var said []string
	for line := range strings.Lines(log.String()) {
		_, line, _ = strings.Cut(line, "level=")
		said = append(said, strings.Join(strings.Fields(line)[:4], " "))
	}
	gone, answers := `WARN msg="docker does not`, `INFO msg="docker answers again"`
	if want := []string{gone, answers, gone, answers}; !slices.Equal(said, want) {
		t.Errorf("the log says %q, want %q:\n%s", said, want, log.String())
	}
}
