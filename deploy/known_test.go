package deploy_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// unwatched is a runtime that tells of no change.
type unwatched struct{ deploy.Runtime }

func (unwatched) Watch(ctx context.Context, _ func(db.ReleaseID)) error {
	<-ctx.Done()
	return nil
}

// elsewhere gives a world another runtime, which has nothing of what should run. Nothing may be done with it before agree is called.
func (w *world) elsewhere() (agree func()) {
	w.t.Helper()
	var may atomic.Bool
	known := make(chan struct{})
	w.runtime = deploytest.NewRuntime(w.t, w.app)
	w.deployer.Runtime = unwatched{w.runtime.With(deploytest.Record(func(point string) {
		if !may.Load() {
			w.t.Errorf("%s before it is known", point)
		}
	}))}
	w.deployer.Point = func(point string) {
		if !may.Load() {
			w.t.Errorf("%s before the runtime is known", point)
		}
	}
	w.deployer.Known, w.deployer.Config.Reconcile = known, time.Hour
	return func() { may.Store(true); close(known) }
}

// TestRecoveryLeavesAnUnknownRuntimeAlone: what is missing there may run on that of the other processes, where the routes lead.
func TestRecoveryLeavesAnUnknownRuntimeAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	dep := w.live("a")
	before, err := w.router.Current(t.Context(), db.Route{Host: host})
	must(t, err)
	agree := w.elsewhere()
	if err := deploy.NewRecovery(w.deployer).Pass(t.Context()); err == nil {
		t.Error("a pass says nothing of what it does not do")
	}
	if err := deploy.NewJanitor(w.deployer).Pass(t.Context()); err == nil {
		t.Error("it is tidied up")
	}
	if now, err := w.router.Current(t.Context(), db.Route{Host: host}); err != nil || now.Addr != before.Addr {
		t.Errorf("the route leads to %+v (%v)", now, err)
	}
	moved := make(chan struct{}, 10)
	w.router.SetHook(deploytest.Record(func(point string) {
		if now, err := w.router.Current(t.Context(), db.Route{Host: host}); point == "router.upsert:after" && err == nil && now.Addr != "" {
			moved <- struct{}{}
		}
	}))
	defer recoverInBackground(t, w)()
	agree()
	select {
	case <-moved:
	case <-time.After(20 * time.Second):
		t.Fatal("it does not go on when the runtime is known")
	}
	if in, err := w.runtime.Inspect(t.Context(), dep.Release.ID); err != nil || in.State != deploy.Running {
		t.Errorf("it is %s (%v)", in.State, err)
	}
}

// TestRunnerLeavesAnUnknownRuntimeAlone: what is queued waits, for this process or for another one.
func TestRunnerLeavesAnUnknownRuntimeAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	agree := w.elsewhere()
	dep := w.push("a")
	w.runInBackground()() // it ends all the same
	defer w.runInBackground()()
	for range 100 { // as long as a claim takes
		if now := w.deployment(dep.ID); now.Phase != db.PhaseQueued || now.Attempt != 0 {
			t.Fatalf("it is %s", now.Phase)
		}
	}
	agree()
	w.await(dep.ID, func(d db.Deployment) bool { return d.Phase == db.PhaseLive })
}
