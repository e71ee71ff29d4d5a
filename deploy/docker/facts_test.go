package docker

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
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
	bare := newFront(t, e, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/grpc" {
			dialled.Add(1)
		}
		return withoutBuildKit(w, r)
	}).engine(e)
	bare.facts.Store(new(facts))
	for range 2 {
		if kit, err := bare.buildkit(t.Context()); err == nil {
			_ = kit.Close()
			t.Error("there is a BuildKit")
		}
	}
	if dialled.Load() < 2 || bare.facts.Load().buildKit {
		t.Errorf("it was asked %d times, and is known: %+v", dialled.Load(), bare.facts.Load())
	}
	known := new(facts)
	known.buildKit = true
	bare.facts.Store(known)
	if kit, err := bare.buildkit(t.Context()); err != nil {
		t.Errorf("one that is known is asked for: %v", err)
	} else {
		_ = kit.Close()
	}
}

// TestBuildWithoutBuildKit: nothing else builds, and an engine that went away in the meantime is no engine without it.
func TestBuildWithoutBuildKit(t *testing.T) {
	t.Parallel()
	real := testEngine(t)
	var leaves atomic.Bool
	var f *front
	f = newFront(t, real, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/grpc" && leaves.Load() {
			f.cut()
		}
		return withoutBuildKit(w, r)
	})
	e := f.engine(real)
	spec := deploy.BuildSpec{Dir: toolDir(t, "", nil), Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("1")}
	_, err := e.Build(t.Context(), spec, io.Discard)
	if text := failure(t, err); !strings.Contains(text, "has no BuildKit") || !strings.Contains(text, "upgrade to Docker Engine 20.10") {
		t.Errorf("the failure is %q", text)
	}
	if real.has(t, spec.Tag) {
		t.Error("something built it")
	}
	leaves.Store(true)
	_, err = e.Build(t.Context(), spec, io.Discard)
	if text := failure(t, err); !strings.Contains(text, "Docker is not reachable") {
		t.Errorf("without an engine the failure is %q", text)
	}
}

// withoutBuildKit is an engine that has no BuildKit.
func withoutBuildKit(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != "/grpc" && r.URL.Path != "/session" {
		return false
	}
	http.NotFound(w, r)
	return true
}
