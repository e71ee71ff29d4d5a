package db_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/db"
)

func TestOneDeliveryAtOnceFromManySides(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		handles := []*db.DB{f.DB, f.again()}
		before := ""
		for round := range 5 {
			after := fmt.Sprint(round)
			same, other := f.delivery(main, before, after), f.delivery(main, before, after) // two hooks, each sent many times
			out := make(chan db.Enqueued, 24)
			var wg sync.WaitGroup
			for i := range cap(out) {
				wg.Go(func() {
					del := []db.Delivery{same, other}[i%2]
					got, err := handles[i/2%2].Enqueue(t.Context(), &del, deploy(main, after, f.workload))
					if err != nil {
						t.Error(err)
					}
					out <- got
				})
			}
			wg.Wait()
			close(out)
			deployments, first := 0, 0
			for got := range out {
				deployments += len(got.Deployments)
				if !got.Duplicate {
					first++
				}
			}
			if deployments != 1 || first != 2 {
				t.Errorf("%d deployments, %d deliveries", deployments, first)
			}
			if n := f.count("deliveries", `accepted AND "after" = ?`, hash(after)); n != 1 {
				t.Errorf("%d deliveries were accepted", n)
			}
			before = after
		}
	})
}

func TestManyPushesAtOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		var dels []db.Delivery
		for i := range 100 {
			dels = append(dels, f.delivery(fmt.Sprintf("refs/heads/%d", i), "", fmt.Sprint(i)))
		}
		began := time.Now()
		var wg sync.WaitGroup
		for _, del := range dels {
			wg.Go(func() {
				list := []db.Deployment{{WorkloadID: f.workload.ID, Ref: del.Ref, Commit: del.After}}
				if out, err := f.Enqueue(t.Context(), &del, list); err != nil || len(out.Deployments) != 1 {
					t.Errorf("got %+v, %v", out, err)
				}
			})
		}
		wg.Wait()
		t.Logf("100 pushes in %v", time.Since(began).Round(time.Millisecond))
		counts, err := f.CountDeployments(t.Context())
		f.check(err)
		if counts[db.PhaseQueued] != 1 || counts[db.PhaseSuperseded] != 99 {
			t.Errorf("got %v", counts)
		}
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
