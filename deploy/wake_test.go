package deploy_test

import (
	"context"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// TestRecoveryLeavesALockedWorkloadAlone: what the runner has stopped in this moment is not started.
func TestRecoveryLeavesALockedWorkloadAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", recreate)
	dep := w.live("a")
	unlock := w.deployer.Lock(w.workload.ID)
	must(t, w.runtime.Stop(t.Context(), dep.Release.ID))
	w.pass()
	if in, err := w.runtime.Inspect(t.Context(), dep.Release.ID); in.State != deploy.Exited || err != nil {
		t.Errorf("it is %s (%v)", in.State, err)
	}
	unlock()
	w.pass()
	w.serves("a")
}

// upserts tells of every host that is led to a release.
type upserts struct {
	*deploytest.Router
	hosts chan string
}

func (r upserts) Upsert(ctx context.Context, rt db.Route, up deploy.Upstream) error {
	err := r.Router.Upsert(ctx, rt, up)
	if up.Name != "" {
		r.hosts <- rt.Host
	}
	return err
}

// await waits for a host.
func (r upserts) await(host string) {
	for led := range r.hosts {
		if led == host {
			return
		}
	}
}

// recovering starts a recovery that looks by itself once an hour.
func recovering(w *world) (r upserts) {
	w.deployer.Config.Reconcile = time.Hour
	w.router.Mute = true // so that each pass is to be heard
	r = upserts{w.router, make(chan string, 100)}
	w.deployer.Router = r
	w.t.Cleanup(recoverInBackground(w.t, w))
	return r
}

// TestRecoveryComesBackToWhatItSkipped: what woke it may be about a workload that the runner was busy with.
func TestRecoveryComesBackToWhatItSkipped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	dep := w.live("a")
	w.second("zebra", "zebra.example.com", "b") // its turn comes after
	unlock := w.deployer.Lock(w.workload.ID)
	r := recovering(w)
	r.await("zebra.example.com")
	w.runtime.Exit(dep.Release.ID, 1)
	r.await("zebra.example.com")
	unlock()
	r.await(host)
	w.serveTogether()
}

// serveTogether checks that all that is live runs.
func (w *world) serveTogether() {
	w.t.Helper()
	list, err := w.runtime.List(w.t.Context())
	must(w.t, err)
	for _, in := range list {
		if in.State != deploy.Running {
			w.t.Errorf("%s is %s", in.ID, in.State)
		}
	}
}

func TestRecoveryWakesWhenAWorkloadChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	r := recovering(w)
	r.await(host)
	w.route(db.Routing{Aliases: []string{shop}})
	r.await(shop)
}
