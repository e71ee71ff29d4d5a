package db_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"tinyforge/db"
)

func TestS9_TheRuntimeStateIsWrittenWhenADeploymentLeavesCommitting(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		if _, err := f.RuntimeState(t.Context(), f.workload.ID); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("before anything was live: %v", err)
		}
		blue := f.live("", "A")
		f.queued("A", "B")
		green := f.claim()
		green.Release = release(green)
		f.save(green, db.PhaseCommitting)
		if serves, err := f.RuntimeState(t.Context(), f.workload.ID); err != nil || serves.DeploymentID != blue.ID {
			t.Errorf("while committing: %+v, %v; want blue", serves, err)
		}
		if !f.read(green.ID).FinishedAt.IsZero() {
			t.Error("finished before it was committed")
		}
		f.commit(green)

		serves, err := f.RuntimeState(t.Context(), f.workload.ID)
		f.check(err)
		if serves.DeploymentID != green.ID || serves.ReleaseID != green.Release.ID || serves.Commit != green.Commit ||
			!reflect.DeepEqual(serves.Release, *green.Release) {
			t.Errorf("serves %+v", serves)
		}
		if all, err := f.RuntimeStates(t.Context()); err != nil || len(all) != 1 {
			t.Errorf("%d rows, %v; want a single one", len(all), err)
		}
		stored := f.read(green.ID)
		if stored.Phase != db.PhaseDraining || stored.Status != db.StatusSuccess || stored.FinishedAt.IsZero() || stored.LeaseUntil.IsZero() {
			t.Errorf("green: %+v", stored)
		}
		if got := f.read(blue.ID); got.Phase != db.PhaseRetired || got.Status != db.StatusSuccess {
			t.Errorf("blue: %+v", got)
		}
		f.check(f.Commit(t.Context(), green, state(green))) // repeated, as when the answer got lost
		f.save(green, db.PhaseLive)
		if got := f.read(green.ID); got.Phase != db.PhaseLive || !got.LeaseUntil.IsZero() {
			t.Errorf("green: %+v", got)
		}
	})
}

func TestS9_ACommitThatFailsChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		blue := f.live("", "A")
		f.queued("A", "B")
		green := f.claim()
		green.Release = release(green)
		f.save(green, db.PhaseCommitting)
		before, err := f.RuntimeState(t.Context(), f.workload.ID)
		f.check(err)

		unchanged := func(why string, err error) {
			t.Helper()
			if err == nil {
				t.Errorf("%s: committed", why)
			}
			if serves, err := f.RuntimeState(t.Context(), f.workload.ID); err != nil || !reflect.DeepEqual(serves, before) {
				t.Errorf("%s: serves %+v, %v", why, serves, err)
			}
			if got := f.read(green.ID); got.Phase != db.PhaseCommitting || got.Status != db.StatusPending || !got.FinishedAt.IsZero() {
				t.Errorf("%s: green is %+v", why, got)
			}
			if !green.FinishedAt.IsZero() {
				t.Errorf("%s: the worker takes it for finished", why)
			}
			if got := f.read(blue.ID); got.Phase != db.PhaseLive {
				t.Errorf("%s: blue is %s", why, got.Phase)
			}
		}
		attempt := func(ctx context.Context) error {
			green.Phase = db.PhaseDraining
			return f.Commit(ctx, green, state(green))
		}
		mend := f.breakRuntimeStates()
		unchanged("the row cannot be written", attempt(t.Context()))
		mend()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		unchanged("the process is told to stop", attempt(ended))
		elsewhere := state(green)
		elsewhere.WorkloadID = 999
		unchanged("of no workload", f.Commit(t.Context(), green, elsewhere))

		f.check(attempt(t.Context()))
		if serves, err := f.RuntimeState(t.Context(), f.workload.ID); err != nil || serves.DeploymentID != green.ID {
			t.Errorf("serves %+v, %v", serves, err)
		}
	})
}

// breakRuntimeStates makes every write to the table fail, which in the order of the transaction is the last one.
func (f *fixture) breakRuntimeStates() (mend func()) {
	f.t.Helper()
	if !f.postgres() {
		f.exec("CREATE TRIGGER broken BEFORE INSERT ON runtime_states BEGIN SELECT RAISE(ABORT, 'disk full'); END")
		return func() { f.exec("DROP TRIGGER broken") }
	}
	f.exec("CREATE FUNCTION broken() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'disk full'; END $$ LANGUAGE plpgsql")
	f.exec("CREATE TRIGGER broken BEFORE INSERT ON runtime_states FOR EACH ROW EXECUTE FUNCTION broken()")
	return func() { f.exec("DROP FUNCTION broken CASCADE") }
}

func TestPhases(t *testing.T) {
	for phase, want := range map[db.Phase]struct {
		status           db.Status
		final, committed bool
	}{
		db.PhaseQueued: {db.StatusPending, false, false}, db.PhaseBuilding: {db.StatusPending, false, false},
		db.PhaseStopping: {db.StatusPending, false, false}, db.PhaseStarting: {db.StatusPending, false, false},
		db.PhaseGating: {db.StatusPending, false, false}, db.PhaseRouting: {db.StatusPending, false, false},
		db.PhaseCommitting: {db.StatusPending, false, false}, db.PhaseUndoing: {db.StatusPending, false, false},
		db.PhaseDraining: {db.StatusSuccess, false, true}, db.PhaseReaping: {db.StatusSuccess, false, true},
		db.PhaseLive: {db.StatusSuccess, true, false}, db.PhaseRetired: {db.StatusSuccess, true, false},
		db.PhaseSkipped: {db.StatusSuccess, true, false}, db.PhaseFailed: {db.StatusFailure, true, false},
		db.PhaseSuperseded: {db.StatusFailure, true, false},
	} {
		if phase.Status() != want.status || phase.Final() != want.final || phase.Committed() != want.committed {
			t.Errorf("%s: %s, final %v, committed %v", phase, phase.Status(), phase.Final(), phase.Committed())
		}
	}
}
