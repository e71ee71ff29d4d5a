package deploy_test

import (
	"context"
	"sync/atomic"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// sharedRows is a Router whose routes others move too: what was decided before the last change by somebody else is refused.
type sharedRows struct {
	*deploytest.Router
	changes *atomic.Int64
}

func (r sharedRows) Since(context.Context) (deploy.Router, error) {
	return view{r, r.changes.Load()}, nil
}

type view struct {
	sharedRows
	since int64
}

func (v view) Upsert(ctx context.Context, rt db.Route, up deploy.Upstream) error {
	if v.changes.Load() > v.since {
		return db.ErrMoved
	}
	return v.sharedRows.Upsert(ctx, rt, up)
}

// inspected is a runtime that tells when somebody looks at a release.
type inspected struct {
	deploy.Runtime
	before func()
}

func (r inspected) Inspect(ctx context.Context, id db.ReleaseID) (deploy.Instance, error) {
	r.before()
	return r.Runtime.Inspect(ctx, id)
}

// TestRecoveryUndoesNothingOfAnother: its process holds requests after we have found out that a deployment only builds, and lets its
// release end on purpose: they stay held, and nothing is started.
func TestRecoveryUndoesNothingOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", `{"deploy_strategy":"recreate"}`)
	dep := w.live("a")
	must(t, w.runtime.Stop(t.Context(), dep.Release.ID))
	shared := sharedRows{w.router, new(atomic.Int64)}
	w.deployer.Router = shared
	var starts atomic.Int64
	var armed atomic.Bool
	w.deployer.Runtime = inspected{w.runtime.With(deploytest.Record(func(point string) {
		if point == "runtime.start:before" {
			starts.Add(1)
		}
	})), func() {
		if armed.CompareAndSwap(true, false) {
			must(t, w.router.Hold(t.Context(), db.Route{Host: host}))
			shared.changes.Add(1)
		}
	}}
	armed.Store(true)
	must(t, deploy.NewRecovery(w.deployer).Pass(t.Context()))
	if armed.Load() {
		t.Fatal("nobody looked at the release")
	}
	if !w.router.Held(host) || starts.Load() != 0 {
		t.Errorf("held %v, %d starts", w.router.Held(host), starts.Load())
	}
	must(t, deploy.NewRecovery(w.deployer).Pass(t.Context())) // nobody else moves it: it is ours to mend
	if w.router.Held(host) || starts.Load() != 1 {
		t.Errorf("held %v, %d starts, after it was left alone", w.router.Held(host), starts.Load())
	}
}

// TestRecoveryOfWhatItOffers: it starts nothing that runs elsewhere, removes nothing of it, and leaves its routes.
func TestRecoveryOfWhatItOffers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	dep := w.live("a")
	must(t, w.runtime.Stop(t.Context(), dep.Release.ID))
	w.deployer.Offers = []string{"swarm"}
	calls := len(w.router.Calls())
	w.pass()
	if in, err := w.runtime.Inspect(t.Context(), dep.Release.ID); err != nil || in.State != deploy.Exited || len(w.router.Calls()) != calls {
		t.Errorf("the release is %s, %v; calls %q", in.State, err, w.router.Calls()[calls:])
	}
	if next := w.push("b"); w.claimed(next) {
		t.Error("its deployment was claimed")
	}
	w.deployer.Offers = []string{"docker", "swarm"}
	w.pass()
	w.serves("a")
}

// claimed tells whether a runner with these offers takes a deployment that is queued.
func (w *world) claimed(dep db.Deployment) bool {
	w.t.Helper()
	got, err := w.db.Claim(w.t.Context(), "test", -1, w.deployer.Offers...)
	must(w.t, err)
	return got != nil && got.ID == dep.ID
}
