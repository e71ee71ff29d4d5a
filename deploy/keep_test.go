package deploy_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/db/migratedtest"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// kept tells whether a process keeps the workload of a world.
func (w *world) kept() bool {
	w.t.Helper()
	kept, err := w.db.IsKept(context.WithoutCancel(w.t.Context()), w.workload.ID)
	must(w.t, err)
	return kept
}

// TestStartsAgainAlone: no process starts what should run while another one does, and it keeps the runners of all away.
func TestStartsAgainAlone(t *testing.T) {
	t.Parallel()
	w := newWorldIn(t, migratedtest.Postgres(t), "dockerfile", recreate)
	dep := w.live("a")
	w.runtime.Exit(dep.Release.ID, 137)
	if ok, err := w.db.KeepWorkload(t.Context(), w.workload.ID, "another", time.Hour); err != nil || !ok {
		t.Fatalf("kept %t (%v)", ok, err)
	}
	if again, err := deploy.NewRecovery(w.deployer).PassSkips(t.Context()); err != nil || again {
		t.Errorf("while another process keeps it, all are passed over again at once: %t (%v)", again, err)
	}
	if in, err := w.runtime.Inspect(t.Context(), dep.Release.ID); err != nil || in.State != deploy.Exited {
		t.Errorf("while another process keeps it, it is %s (%v)", in.State, err)
	}
	must(t, w.db.LetWorkload(t.Context(), w.workload.ID, "another"))
	started := false
	w.deployer.Runtime = w.runtime.With(deploytest.Record(func(point string) {
		if started = true; !w.kept() {
			t.Errorf("%s: nobody keeps it", point)
		}
	}))
	w.pass()
	w.serves("a")
	if !started || w.kept() {
		t.Errorf("started %t, and it is kept %t", started, w.kept())
	}
}

// meanwhile is a runtime at which something happens when it is asked for the first time.
type meanwhile struct {
	deploy.Runtime
	once sync.Once
	what func()
}

func (m *meanwhile) Inspect(ctx context.Context, id db.ReleaseID) (deploy.Instance, error) {
	in, err := m.Runtime.Inspect(ctx, id)
	m.once.Do(m.what)
	return in, err
}

// TestStartsNothingThatIsStoppedMeanwhile: another process begins to replace in place what this one has just seen not to run.
func TestStartsNothingThatIsStoppedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorldIn(t, migratedtest.Postgres(t), "dockerfile", recreate)
	dep := w.live("a")
	w.runtime.Exit(dep.Release.ID, 137)
	queued := w.push("b")
	w.deployer.Runtime = &meanwhile{Runtime: w.runtime, what: func() {
		claimed, err := w.db.Claim(t.Context(), "another", time.Hour)
		must(t, err)
		claimed.Strategy, claimed.Phase = db.Recreate, db.PhaseStopping
		claimed.Release = &db.Release{ID: deploy.BuildGreenName("web", queued.ID), WorkloadID: w.workload.ID, DeploymentID: queued.ID}
		must(t, w.db.Save(t.Context(), claimed))
	}}
	w.pass()
	if in, err := w.runtime.Inspect(t.Context(), dep.Release.ID); err != nil || in.State != deploy.Exited {
		t.Errorf("what another process has stopped is %s (%v)", in.State, err)
	}
}

// TestRunnerWaitsForWhoStartsAgain: what another process starts again is not stopped meanwhile, nor anything else done to it. Here that
// process has died, so that its lease ends.
func TestRunnerWaitsForWhoStartsAgain(t *testing.T) {
	t.Parallel()
	for letter, ends := range map[string]db.Phase{"b": db.PhaseLive, "z": db.PhaseFailed} {
		w := newWorldIn(t, migratedtest.Postgres(t), "dockerfile", recreate)
		w.live("a")
		if ok, err := w.db.KeepWorkload(t.Context(), w.workload.ID, "another", time.Second); err != nil || !ok {
			t.Fatalf("kept %t (%v)", ok, err)
		}
		hook(w, deploytest.Record(func(point string) {
			if w.kept() {
				t.Errorf("%s: while it is kept", point)
			}
		}))
		if dep := w.run(w.push(letter)); dep.Phase != ends {
			t.Errorf("it is %s: %s", dep.Phase, dep.Error)
		}
	}
}

// TestCancelWhileAnotherStartsAgain: who waits for that says so, and is cancelled meanwhile; what was begun is undone after it.
func TestCancelWhileAnotherStartsAgain(t *testing.T) {
	t.Parallel()
	w := newWorldIn(t, migratedtest.Postgres(t), "dockerfile", recreate)
	w.live("a")
	if ok, err := w.db.KeepWorkload(t.Context(), w.workload.ID, "another", time.Hour); err != nil || !ok {
		t.Fatalf("kept %t (%v)", ok, err)
	}
	defer w.runInBackground()()
	dep := w.push("b")
	for deadline := time.After(20 * time.Second); !strings.Contains(w.logText(dep.ID), "Waiting for another Tinyforge"); {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatalf("the log does not say why it waits:\n%s", w.logText(dep.ID))
		}
	}
	must(t, w.db.Cancel(t.Context(), dep.ID))
	w.await(dep.ID, func(d db.Deployment) bool { return d.Phase == db.PhaseUndoing })
	must(t, w.db.LetWorkload(t.Context(), w.workload.ID, "another"))
	w.await(dep.ID, func(d db.Deployment) bool { return d.Phase == db.PhaseCancelled })
	w.serves("a")
}

// TestKeptNoLongerThanItsLease: when that is over another process may have it.
func TestKeptNoLongerThanItsLease(t *testing.T) {
	t.Parallel()
	w := newWorldIn(t, migratedtest.Postgres(t), "dockerfile", recreate)
	w.deployer.Config.Lease = time.Hour
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		deploy.NewRecovery(w.deployer).Renew(t.Context(), w.workload.ID, "slow", time.Now().Add(-time.Second))
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("it is kept on")
	}
}
