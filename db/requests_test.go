package db_test

import (
	"errors"
	"sync"
	"testing"

	"tinyforge/db"
	"tinyforge/db/dbtest"
)

func TestRedeploy(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.live("", "A")
		queued := f.queued("A", "B")
		again, err := f.QueueRedeploy(t.Context(), first.ID)
		f.check(err)
		got := f.read(again.ID)
		if got.Cause != db.CauseRedeploy || got.Commit != first.Commit || got.Ref != first.Ref || got.Message != first.Message ||
			got.Phase != db.PhaseQueued || got.Status != db.StatusPending || got.RollbackTo != 0 {
			t.Errorf("got %+v", got)
		}
		if old := f.read(queued.ID); old.Phase != db.PhaseSuperseded {
			t.Errorf("what was queued before is %s", old.Phase)
		}
		if first := f.read(first.ID); first.Cause != db.CausePush {
			t.Errorf("a push has the cause %q", first.Cause)
		}
		f.check(f.DeleteWorkload(t.Context(), f.workload.ID, false))
		if _, err := f.QueueRedeploy(t.Context(), first.ID); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("redeploy of a deleted workload: %v", err)
		}
	})
}

func TestQueueCommit(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		live := f.live("", "A")
		queued := f.queued("A", "B")
		asked, err := f.QueueCommit(t.Context(), f.workload.ID, live.Ref, live.Commit, "a \x00 message", "Ann")
		f.check(err)
		got := f.read(asked.ID)
		if got.Cause != db.CauseManual || got.Commit != live.Commit || got.Ref != live.Ref || got.Message != "a  message" || got.Author != "Ann" ||
			got.RepositoryID != f.repo.ID || got.Phase != db.PhaseQueued || got.Status != db.StatusPending {
			t.Errorf("got %+v", got)
		}
		if old := f.read(queued.ID); old.Phase != db.PhaseSuperseded {
			t.Errorf("what was queued before is %s", old.Phase)
		}
		f.check(f.DeleteWorkload(t.Context(), f.workload.ID, false))
		if _, err := f.QueueCommit(t.Context(), f.workload.ID, live.Ref, live.Commit, "", ""); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("a deployment of a deleted workload: %v", err)
		}
	})
}

func TestRollback(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.live("", "A")
		second := f.live("A", "B")
		back, err := f.QueueRollback(t.Context(), first.ID)
		f.check(err)
		if got := f.read(back.ID); got.Cause != db.CauseRollback || got.RollbackTo != first.ID || got.Commit != first.Commit {
			t.Errorf("got %+v", got)
		}
		for _, id := range []int64{second.ID, back.ID} {
			if _, err := f.QueueRollback(t.Context(), id); !errors.Is(err, db.ErrNoRollback) {
				t.Errorf("rollback to deployment %d: %v", id, err)
			}
		}
	})
}

func TestRollbackPaused(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.live("", "A")
		second := f.live("A", "B")
		enabled := func() bool {
			t.Helper()
			w, err := f.Workload(t.Context(), f.workload.ID)
			f.check(err)
			return w.Enabled
		}
		if _, err := f.QueueRollbackPaused(t.Context(), second.ID); !errors.Is(err, db.ErrNoRollback) || !enabled() {
			t.Errorf("rollback to what is live: %v, enabled %v", err, enabled())
		}
		back, err := f.QueueRollbackPaused(t.Context(), first.ID)
		f.check(err)
		if got := f.read(back.ID); got.RollbackTo != first.ID || enabled() {
			t.Errorf("got %+v, enabled %v", got, enabled())
		}
	})
}

func TestCancel(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		queued := f.queued("", "A")
		f.check(f.Cancel(t.Context(), queued.ID))
		if got := f.read(queued.ID); got.Phase != db.PhaseCancelled || got.Status != db.StatusFailure || got.FinishedAt.IsZero() {
			t.Errorf("a queued one became %+v", got)
		}
		f.queued("A", "B")
		dep := f.claim()
		f.check(f.Cancel(t.Context(), dep.ID))
		f.check(f.Renew(t.Context(), dep, lease))
		if !dep.Cancelled {
			t.Error("Renew does not tell of it")
		}
		dep.Release, dep.Phase = release(dep), db.PhaseDraining
		if err := f.Commit(t.Context(), dep, state(dep)); !errors.Is(err, db.ErrCancelled) {
			t.Errorf("committed a cancelled deployment: %v", err)
		}
		if _, err := f.RuntimeState(t.Context(), f.workload.ID); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("a cancelled deployment left a runtime state: %v", err)
		}
		f.save(dep, db.PhaseCancelled)
		live := f.live("B", "C")
		for _, id := range []int64{queued.ID, dep.ID, live.ID} {
			if err := f.Cancel(t.Context(), id); !errors.Is(err, db.ErrTooLate) {
				t.Errorf("cancelled deployment %d, which has ended: %v", id, err)
			}
		}
		if err := f.Cancel(t.Context(), 999); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("cancelled nothing: %v", err)
		}
	})
}

// TestCancelAgainstCommit: of the two, one wins, and both say the same.
// What is being cancelled does not deploy its commit: somebody who pushes it once more wants it.
func TestPushOfACommitThatIsBeingCancelled(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.live("", "A")
		f.queued("A", "B")
		dep := f.claim()
		tag := func(name string) db.Enqueued {
			return f.enqueue(f.delivery("refs/tags/"+name, "", "B"), deploy("refs/tags/"+name, "B", f.workload)...)
		}
		if out := tag("v1"); len(out.Deployments) != 0 {
			t.Errorf("what is being deployed is queued: %+v", out)
		}
		f.check(f.Cancel(t.Context(), dep.ID))
		if out := tag("v2"); len(out.Deployments) != 1 {
			t.Errorf("the push is lost: %+v", out)
		}
	})
}

func TestCancelAgainstCommit(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		before := ""
		for _, commit := range []string{"A", "B", "C", "D", "E", "F", "G", "H"} {
			f.queued(before, commit)
			before = commit
			dep := f.claim()
			f.save(dep, db.PhaseCommitting)
			dep.Release, dep.Phase = release(dep), db.PhaseDraining
			var cancelled, committed error
			var both sync.WaitGroup
			both.Go(func() { cancelled = f.Cancel(t.Context(), dep.ID) })
			both.Go(func() { committed = f.Commit(t.Context(), dep, state(dep)) })
			both.Wait()
			switch got := f.read(dep.ID); {
			case cancelled == nil && errors.Is(committed, db.ErrCancelled) && got.Phase == db.PhaseCommitting:
				f.save(dep, db.PhaseCancelled)
			case committed == nil && errors.Is(cancelled, db.ErrTooLate) && got.Phase == db.PhaseDraining:
				f.save(dep, db.PhaseLive)
			default:
				t.Fatalf("Cancel: %v, Commit: %v, phase %s", cancelled, committed, got.Phase)
			}
		}
	})
}

// SQLite tells nobody: Listen looks.
func TestCancelledByAnotherProcessOnSQLite(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t))
	f.queued("", "A")
	dep := f.claim()
	server := f.again()
	wake, cancel := server.Subscribe(db.TopicCancel)
	defer cancel()
	queued, stop := server.Subscribe(db.TopicQueued)
	defer stop()
	listen(t, server)
	until(t, "the server notices a deployment that was queued", func() bool {
		_, err := f.QueueRedeploy(t.Context(), dep.ID)
		f.check(err)
		select {
		case <-queued:
			return true
		default:
			return false
		}
	})
	f.check(f.Cancel(t.Context(), dep.ID))
	woken(t, wake)
}
