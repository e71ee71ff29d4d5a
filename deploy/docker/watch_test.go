package docker

import (
	"context"
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
