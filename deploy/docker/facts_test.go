package docker

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/db"
)

// TestFactsLastAsLongAsTheEngine: what an engine was asked once it is not asked again, until the connection to its events is
// lost, after which it may be another one.
func TestFactsLastAsLongAsTheEngine(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	var infos atomic.Int32
	f := newFront(t, e, func(_ http.ResponseWriter, r *http.Request) bool {
		if under(r, "/info") {
			infos.Add(1)
		}
		return false
	})
	through := f.engine(e)
	look := func(want int32, when string) {
		t.Helper()
		for range 2 {
			if _, err := through.FreeSpace(t.Context()); err != nil {
				t.Fatal(err)
			}
			kit, err := through.buildkit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_ = kit.Close()
		}
		if n := infos.Swap(0); n != want {
			t.Errorf("%s it was asked %d times, want %d", when, n, want)
		}
		if known := through.facts.Load(); (known != nil) != (want == 1) || known != nil && !known.buildKit {
			t.Errorf("%s it is known: %+v", when, known)
		}
	}
	look(2, "before anybody watches")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	connected, left := make(chan db.ReleaseID, 100), make(chan error, 1)
	go func() { left <- through.Watch(ctx, func(id db.ReleaseID) { connected <- id }) }()
	<-connected
	look(1, "while somebody watches")
	f.cut()
	f.restore()
	<-connected
	look(1, "once it is connected again")
	cancel()
	if err := <-left; err != nil {
		t.Errorf("Watch returns %v", err)
	}
	look(2, "when nobody watches any more")
}

// TestBuildKitIsAskedForUntilItAnswers: one that is not there may come, and one that is there is not asked whether it is.
func TestBuildKitIsAskedForUntilItAnswers(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	var dialled atomic.Int32
	classic := newFront(t, e, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/grpc" {
			dialled.Add(1)
		}
		return withoutBuildKit(w, r)
	}).engine(e)
	classic.facts.Store(new(facts))
	for range 2 {
		if kit, err := classic.buildkit(t.Context()); err == nil {
			_ = kit.Close()
			t.Error("there is a BuildKit")
		}
	}
	if dialled.Load() < 2 || classic.facts.Load().buildKit {
		t.Errorf("it was asked %d times, and is known: %+v", dialled.Load(), classic.facts.Load())
	}
	known := new(facts)
	known.buildKit = true
	classic.facts.Store(known)
	if kit, err := classic.buildkit(t.Context()); err != nil {
		t.Errorf("one that is known is asked for: %v", err)
	} else {
		_ = kit.Close()
	}
}
