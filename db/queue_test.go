package db_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/db"
)

// over is a lease that is over at once.
const over = -time.Second

func TestClaim(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		if dep, err := f.Claim(t.Context(), "worker", lease); err != nil || dep != nil {
			t.Errorf("claimed %+v, %v from an empty queue", dep, err)
		}
		queued := f.queued("", "A")
		began := time.Now()
		dep := f.claim()
		if dep.ID != queued.ID || dep.Phase != db.PhaseBuilding || dep.Attempt != 1 || dep.Commit != queued.Commit ||
			!strings.HasPrefix(dep.LeaseOwner, "worker/") || dep.LeaseUntil.Before(began.Add(lease-time.Second)) || dep.StartedAt.IsZero() {
			t.Errorf("got %+v", dep)
		}
		if stored := f.read(dep.ID); !reflect.DeepEqual(stored, *dep) {
			t.Errorf("got\n%+v, stored\n%+v", *dep, stored)
		}
		if got, err := f.InProgress(t.Context(), f.workload.ID); err != nil || got.ID != dep.ID {
			t.Errorf("in progress: %+v, %v", got, err)
		}
		f.save(dep, db.PhaseFailed)
		if _, err := f.InProgress(t.Context(), f.workload.ID); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("in progress: %v", err)
		}
		if _, err := f.Deployment(t.Context(), 999); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
}

func TestClaimOldestFirst(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		b, a := f.newWorkload("b"), f.newWorkload("a")
		var want, got []int64
		for i, w := range []db.Workload{b, f.workload, a} {
			ref := fmt.Sprintf("refs/heads/%d", i)
			want = append(want, f.enqueue(f.delivery(ref, "", "A"), deploy(ref, "A", w)...).Deployments...)
		}
		for range want {
			got = append(got, f.claim().ID)
		}
		equal(t, "claimed", got, want)
	})
}

func TestTakeOver(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.queued("", "A")
		first, err := f.Claim(t.Context(), "one", over)
		f.check(err)
		first.Release, first.Strategy = release(first), db.BlueGreen
		f.save(first, db.PhaseGating)
		f.queued("A", "B") // does not come before what is in progress

		second := f.claim()
		if second.ID != first.ID || second.Phase != db.PhaseGating || second.Attempt != 2 || second.Strategy != db.BlueGreen ||
			!reflect.DeepEqual(second.Release, first.Release) || !second.StartedAt.Equal(first.StartedAt) || second.LeaseOwner == first.LeaseOwner {
			t.Errorf("got %+v after %+v", second, first)
		}
		fenced(t, f, first)
		f.check(f.Renew(t.Context(), second, lease))
		f.save(second, db.PhaseRouting)
	})
}

// fenced checks that nothing can be written under a lease, and that it changes nothing to try.
func fenced(t *testing.T, f *fixture, lost *db.Deployment) {
	t.Helper()
	before := f.read(lost.ID)
	late := *lost
	late.Phase, late.Release, late.Error = db.PhaseDraining, release(lost), "from the past"
	for name, err := range map[string]error{
		"save":      f.Save(t.Context(), &late),
		"renew":     f.Renew(t.Context(), &late, lease),
		"hand over": f.HandOver(t.Context(), &late),
		"commit":    f.Commit(t.Context(), &late, state(&late)),
	} {
		if !errors.Is(err, db.ErrLeaseLost) {
			t.Errorf("%s after the lease was lost: %v", name, err)
		}
	}
	if after := f.read(lost.ID); !reflect.DeepEqual(after, before) {
		t.Errorf("got\n%+v, before\n%+v", after, before)
	}
	if n := f.count("runtime_states", "deployment_id = ?", lost.ID); n != 0 {
		t.Error("the runtime state was written without a lease")
	}
}

func TestTheSameOwnerIsFencedToo(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.queued("", "A")
		first, err := f.Claim(t.Context(), "worker", over)
		f.check(err)
		f.claim()
		fenced(t, f, first)
	})
}

func TestNobodysDeploymentCannotBeWritten(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		queued := f.queued("", "A")
		fenced(t, f, &queued)
	})
}

func TestRenew(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.queued("", "A")
		dep, err := f.Claim(t.Context(), "worker", over)
		f.check(err)
		f.check(f.Renew(t.Context(), dep, lease)) // late, but nobody took it
		if taken, err := f.Claim(t.Context(), "other", lease); err != nil || taken != nil {
			t.Errorf("claimed %+v, %v", taken, err)
		}
		if got := f.read(dep.ID); got.LeaseUntil.Before(time.Now().Add(lease / 2)) {
			t.Errorf("leased until %v", got.LeaseUntil)
		}
	})
}

func TestHandOver(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.queued("", "A")
		dep := f.claim()
		f.save(dep, db.PhaseStarting)
		f.check(f.HandOver(t.Context(), dep))
		fenced(t, f, dep)
		next := f.claim()
		if next.ID != dep.ID || next.Phase != db.PhaseStarting || next.Attempt != 1 {
			t.Errorf("got %+v", next)
		}
	})
}

func TestBreakLeases(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		if n, err := f.BreakLeases(t.Context()); err != nil || n != 0 {
			t.Errorf("broke %d leases, %v where there are none", n, err)
		}
		finished := f.live("", "A")
		f.queued("A", "B")
		dep := f.claim()
		f.save(dep, db.PhaseRouting)
		other := f.newWorkload("other")
		f.enqueue(f.delivery("refs/heads/dev", "", "A"), deploy("refs/heads/dev", "A", other)...)
		f.claim()
		f.queued("B", "C") // has no lease

		wake, cancel := f.Subscribe(db.TopicQueued)
		defer cancel()
		if n, err := f.BreakLeases(t.Context()); err != nil || n != 2 {
			t.Errorf("broke %d leases, %v; want 2", n, err)
		}
		woken(t, wake)
		fenced(t, f, dep)
		if next := f.claim(); next.ID != dep.ID || next.Phase != db.PhaseRouting || next.Attempt != 2 {
			t.Errorf("got %+v", next)
		}
		if got := f.read(finished.ID); got.Phase != db.PhaseLive || got.LeaseOwner != finished.LeaseOwner {
			t.Errorf("a finished one changed: %+v", got)
		}
	})
}

func TestSave(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.queued("", "A")
		dep := f.claim()
		dep.Strategy, dep.Release, dep.Error, dep.Tail = db.Recreate, release(dep), "why", "tail\nof the log"
		dep.Commit, dep.Attempt = "not for the worker to change", 99
		f.save(dep, db.PhaseUndoing)
		got := f.read(dep.ID)
		if got.Phase != db.PhaseUndoing || got.Status != db.StatusPending || got.Strategy != db.Recreate || got.Error != "why" ||
			got.Tail != "tail\nof the log" || !reflect.DeepEqual(got.Release, dep.Release) || !got.FinishedAt.IsZero() {
			t.Errorf("got %+v", got)
		}
		if got.Commit != hash("A") || got.Attempt != 1 {
			t.Errorf("got %+v", got)
		}
		f.save(dep, db.PhaseFailed)
		got = f.read(dep.ID)
		if got.Phase != db.PhaseFailed || got.Status != db.StatusFailure || got.FinishedAt.IsZero() || !got.LeaseUntil.IsZero() {
			t.Errorf("got %+v", got)
		}
		f.check(f.Save(t.Context(), dep)) // repeated
		if again := f.read(dep.ID); !again.FinishedAt.Equal(got.FinishedAt) {
			t.Errorf("finished at %v, then at %v", got.FinishedAt, again.FinishedAt)
		}
	})
}

func TestDeploymentsOf(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		a, b, c := f.queued("", "A"), f.queued("A", "B"), f.queued("B", "C")
		list, err := f.DeploymentsOf(t.Context(), f.workload.ID, 2)
		f.check(err)
		equal(t, "newest two", ids(list), []int64{c.ID, b.ID})
		list, err = f.DeploymentsOf(t.Context(), f.workload.ID, 100)
		f.check(err)
		equal(t, "all", ids(list), []int64{c.ID, b.ID, a.ID})
	})
}

func TestManyWorkersClaimEachDeploymentOnce(t *testing.T) {
	const deployments, workers = 200, 16
	each(t, func(t *testing.T, f *fixture) {
		var workloads []db.Workload
		for i := range deployments {
			workloads = append(workloads, f.newWorkload(fmt.Sprintf("w%d", i)))
		}
		want := f.enqueue(f.delivery(main, "", "A"), deploy(main, "A", workloads...)...).Deployments

		handles := []*db.DB{f.DB, f.again()}
		var mu sync.Mutex
		var got []int64
		var wg sync.WaitGroup
		began := time.Now()
		for i := range workers {
			wg.Go(func() {
				for {
					dep, err := handles[i%2].Claim(t.Context(), fmt.Sprint(i), lease)
					if err != nil {
						t.Errorf("worker %d: %v", i, err)
					}
					if err != nil || dep == nil {
						return
					}
					mu.Lock()
					got = append(got, dep.ID)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		t.Logf("%d claims in %v", len(got), time.Since(began).Round(time.Millisecond))
		slices.Sort(got)
		equal(t, "claimed", got, want)
	})
}

func TestOneDeploymentOfAWorkloadAtATime(t *testing.T) {
	const workloads, pushes, workers = 3, 12, 8
	each(t, func(t *testing.T, f *fixture) {
		handles := []*db.DB{f.DB, f.again()}
		busy := map[int64]*atomic.Int32{}
		var followed []db.Workload
		for i := range workloads {
			w := f.newWorkload(fmt.Sprintf("w%d", i))
			followed, busy[w.ID] = append(followed, w), new(atomic.Int32)
		}
		var wg sync.WaitGroup
		var pushed atomic.Bool
		wake, cancel := f.Subscribe(db.TopicQueued)
		defer cancel()
		work := func(d *db.DB, owner string) {
			for {
				all := pushed.Load()
				dep, err := d.Claim(t.Context(), owner, lease)
				switch {
				case err != nil:
					t.Error(err)
					return
				case dep == nil && all:
					return
				case dep == nil:
					select {
					case <-wake:
					case <-time.After(10 * time.Millisecond): // one wake-up serves one worker
					}
					continue
				}
				if n := busy[dep.WorkloadID].Add(1); n != 1 {
					t.Errorf("%d deployments of workload %d are in progress", n, dep.WorkloadID)
				}
				dep.Release, dep.Phase = release(dep), db.PhaseDraining
				err = errors.Join(d.Renew(t.Context(), dep, lease), d.Commit(t.Context(), dep, state(dep)))
				busy[dep.WorkloadID].Add(-1)
				dep.Phase = db.PhaseLive
				if err := errors.Join(err, d.Save(t.Context(), dep)); err != nil {
					t.Error(err)
					return
				}
			}
		}
		for i := range workers {
			wg.Go(func() { work(handles[i%2], fmt.Sprint(i)) })
		}
		before := ""
		for i := range pushes {
			after := fmt.Sprint("commit", i)
			f.enqueue(f.delivery(main, before, after), deploy(main, after, followed...)...)
			before = after
		}
		pushed.Store(true)
		wg.Wait()
		for _, w := range followed {
			serves, err := f.RuntimeState(t.Context(), w.ID)
			f.check(err)
			if serves.Commit != hash(before) {
				t.Errorf("workload %s runs %s, want the newest", w.Name, serves.Commit)
			}
			if n := f.count("deployments", "workload_id = ? AND phase = 'live'", w.ID); n != 1 {
				t.Errorf("workload %s has %d live deployments", w.Name, n)
			}
		}
	})
}

// A deadlock ends one of two transactions; the push is recorded all the same.
func TestPushSurvivesADeadlock(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		if !f.postgres() {
			return // there, writers come one after the other
		}
		other := f.newWorkload("other")
		first := f.enqueue(f.delivery(main, "", "A"), deploy(main, "A", f.workload, other)...).Deployments
		tx, err := f.Bun().BeginTx(t.Context(), nil)
		f.check(err)
		lock := func(id int64) {
			t.Helper()
			_, err := tx.ExecContext(t.Context(), "UPDATE deployments SET updated_at = updated_at WHERE id = ?", id)
			f.check(err)
		}
		_, err = tx.ExecContext(t.Context(), "SET LOCAL deadlock_timeout = '1h'") // not this one is to yield
		f.check(err)
		lock(first[1])
		type result struct {
			db.Enqueued
			error
		}
		done := make(chan result, 1)
		del := f.delivery(main, "A", "B")
		go func() {
			out, err := f.Enqueue(t.Context(), &del, deploy(main, "B", f.workload, other))
			done <- result{out, err}
		}()
		until(t, "the push holds the one row and waits for the other", func() bool { return f.count("pg_locks", "NOT granted") > 0 })
		lock(first[0]) // returns when the push has yielded
		f.check(tx.Commit())
		got := <-done
		if got.error != nil || got.Duplicate || len(got.Deployments) != 2 || del.ID == 0 {
			t.Errorf("got %+v", got)
		}
		if n := f.count("deliveries", "external_id = ? AND accepted", del.ExternalID); n != 1 {
			t.Errorf("the delivery is recorded %d times", n)
		}
	})
}
