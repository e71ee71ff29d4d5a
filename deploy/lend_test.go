package deploy_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// beside are ways to deploy beside what serves: by what the workload was, and what it becomes.
var beside = map[string]struct{ before, after string }{
	"blue-green":          {blueGreen, blueGreen},
	"a stack for a while": {recreate, stacked},
}

// gating makes a release live and another one wait at its gate, which opens when that one answers as ready does. The world
// is prepared in between, when nothing uses it.
func gating(t *testing.T, before, after string, prepare func(w *world)) (w *world, blue, green db.Deployment) {
	t.Helper()
	w = newWorld(t, kindOf(before), before)
	blue = w.live("a")
	prepare(w)
	w.workload.Source = kindOf(after)
	w.workload.Config = []byte(strings.Replace(after, `"attempts":1`, `"attempts":1,"start_period":"1h"`, 1))
	must(t, w.db.SaveWorkload(t.Context(), &w.workload))
	green = w.push("x")
	t.Cleanup(w.runInBackground())
	green = w.await(green.ID, func(d db.Deployment) bool { return d.Phase == db.PhaseGating })
	return w, blue, green
}

// ready is what a release answers that is: its letter, and at its gate that it is. Asked is told of the latter.
func ready(letter string, asked func()) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/up" {
			asked()
		}
		_, _ = rw.Write([]byte(letter))
	})
}

// TestWhatServesIsServedThroughTheGate: it gets another address, and it ends, while the next one is not ready for long.
func TestWhatServesIsServedThroughTheGate(t *testing.T) {
	t.Parallel()
	for name, k := range beside {
		for _, good := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				var r upserts
				w, blue, green := gating(t, k.before, k.after, func(w *world) { r = recovering(w) })
				w.runtime.Crash(blue.Release.ID, 1)
				r.until(w, blue)
				w.runtime.Exit(blue.Release.ID, 137)
				r.until(w, blue)
				want, letter := db.PhaseLive, "x"
				if good {
					w.runtime.Serve(green.Release.ID, ready("x", func() {}))
				} else {
					want, letter = db.PhaseCancelled, "a"
					must(t, w.db.Cancel(t.Context(), green.ID))
				}
				if green = w.await(green.ID, func(d db.Deployment) bool { return d.Phase.Final() }); green.Phase != want {
					t.Errorf("it is %s: %s", green.Phase, green.Error)
				}
				w.serves(letter)
			})
		}
	}
}

// until waits until the world's host leads to where the release of a deployment answers now.
func (r upserts) until(w *world, dep db.Deployment) {
	w.t.Helper()
	late := time.After(30 * time.Second)
	for {
		up, err := w.router.Current(w.t.Context(), db.Route{Host: host})
		must(w.t, err)
		in, err := w.runtime.Inspect(w.t.Context(), dep.Release.ID)
		must(w.t, err)
		if in.State == deploy.Running && up == in.Upstream {
			return
		}
		select {
		case <-r.hosts:
		case <-late:
			w.t.Fatalf("%s leads to %+v, and what serves is %+v", host, up, in)
		}
	}
}

// TestWhatIsLentIsTakenBack: not before the recovery is done with it.
func TestWhatIsLentIsTakenBack(t *testing.T) {
	t.Parallel()
	d := &deploy.Deployer{}
	unlock := d.Lock(1)
	var done atomic.Bool
	var recovery sync.WaitGroup
	must(t, d.Lend(1, func() error {
		giveBack := d.Lock(1) // panics where the runner has it
		recovery.Go(func() { done.Store(true); giveBack() })
		return nil
	}))
	if !done.Load() {
		t.Error("the runner goes on while the recovery has the workload")
	}
	recovery.Wait()
	defer func() {
		if recover() == nil {
			t.Error("nobody has the workload when the runner goes on")
		}
		unlock()
	}()
	d.Lock(1)
}

// TestGateThatEndsWhileTheRecoveryActs: the routes are moved when the recovery is done, and not back.
func TestGateThatEndsWhileTheRecoveryActs(t *testing.T) {
	t.Parallel()
	var blue, green db.Deployment
	opened := make(chan struct{})
	var armed atomic.Bool
	w, blue, green := gating(t, blueGreen, blueGreen, func(w *world) {
		w.deployer.Runtime = w.runtime.With(deploytest.Record(func(point string) {
			if point == "runtime.start:before" && armed.CompareAndSwap(true, false) {
				w.runtime.Serve(green.Release.ID, ready("x", func() { close(opened) }))
				<-opened
			}
		}))
	})
	armed.Store(true)
	w.runtime.Exit(blue.Release.ID, 137)
	for armed.Load() { // the phase is written down before the workload is lent: until then a pass skips it
		w.pass()
		time.Sleep(time.Millisecond)
	}
	if green = w.await(green.ID, func(d db.Deployment) bool { return d.Phase.Final() }); green.Phase != db.PhaseLive || armed.Load() {
		t.Errorf("it is %s: %s; the recovery has started nothing: %t", green.Phase, green.Error, armed.Load())
	}
	calls := w.router.Calls()
	first := slices.Index(calls, "upsert "+host+" "+string(green.Release.ID))
	if first < 0 || slices.Contains(calls[first:], "upsert "+host+" "+string(blue.Release.ID)) {
		t.Errorf("the routes were moved back: %q", calls)
	}
	w.serves("x")
}

// TestWhatServesIsServedThroughTheDrain: it gets another address while somebody still gets an answer of the one before.
func TestWhatServesIsServedThroughTheDrain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.deployer.Config.Drain = time.Minute
	blue := w.live("a")
	r := recovering(w)
	begun, end := make(chan struct{}), make(chan struct{})
	w.runtime.Serve(blue.Release.ID, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(begun); <-end }))
	answered := make(chan int)
	go func() { status, _ := w.router.Get(host, "/"); answered <- status }()
	<-begun
	defer w.runInBackground()()
	letGo := sync.OnceFunc(func() { close(end) })
	defer letGo()
	green := w.await(w.push("b").ID, func(d db.Deployment) bool { return d.Phase == db.PhaseDraining })
	w.runtime.Crash(green.Release.ID, 1)
	r.until(w, green)
	letGo()
	if status := <-answered; status != http.StatusOK {
		t.Errorf("the request that was under way is answered with %d", status)
	}
	w.await(green.ID, func(d db.Deployment) bool { return d.Phase.Final() })
	w.serves("b")
}
