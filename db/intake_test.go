package db_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"tinyforge/db"
)

// TestDeliveriesRecordedTogether lets some wait for another: what becomes of each is what would have become of it alone.
func TestDeliveriesRecordedTogether(t *testing.T) {
	for _, odd := range []string{"none", "of no repository", "cancelled", "panics"} {
		t.Run(odd, func(t *testing.T) {
			each(t, func(t *testing.T, f *fixture) {
				crowd := f.gather()
				push := func(before, after string) *db.Delivery { del := f.delivery(main, before, after); return &del }
				first := push("", "A")
				copied := *first // its id
				crowd.add(t.Context(), first, f.workload, "queued")
				crowd.add(t.Context(), &copied, f.workload, "deployment 1 queued")
				crowd.add(t.Context(), push("", "A"), f.workload, "already delivered") // by another hook
				switch odd {
				case "of no repository":
					lost := push("", "A")
					lost.RepositoryID = 999
					crowd.add(t.Context(), lost, f.workload, "not found")
				case "cancelled":
					gone, cancel := context.WithCancel(t.Context())
					cancel()
					crowd.add(gone, push("A", "B"), f.workload, "context canceled")
				case "panics":
					crowd.add(t.Context(), push("", "A"), db.Workload{}, "panicked")
				}
				crowd.add(t.Context(), push("B", "C"), f.workload, "queued")
				crowd.add(t.Context(), push("A", "B"), f.workload, "older than what was already delivered")
				crowd.add(t.Context(), push("C", "D"), f.workload, "queued")
				elsewhere := f.delivery("refs/heads/other", "", "A")
				crowd.add(t.Context(), &elsewhere, db.Workload{ID: -1}, "no workload follows it")
				crowd.serve()
				if first.ID == 0 || copied.ID != 0 {
					t.Errorf("of two copies the first is to be recorded: %+v, %+v", first, copied)
				}
				counts, err := f.CountDeployments(t.Context())
				f.check(err)
				if counts[db.PhaseQueued] != 1 || counts[db.PhaseSuperseded] != 2 {
					t.Errorf("deployments %v", counts)
				}
				if n := f.count("deliveries", "accepted AND ref = ?", main); n != 3 {
					t.Errorf("%d pushes were accepted", n)
				}
				moves, err := f.LastMoves(t.Context(), f.repo.ID)
				f.check(err)
				if moves[main] != hash("D") || moves["refs/heads/other"] != hash("A") {
					t.Errorf("the refs were moved to %v", moves)
				}
			})
		})
	}
}

// crowd are deliveries that wait for one that is being recorded.
type crowd struct {
	f       *fixture
	proceed func()
	all     sync.WaitGroup
	waiting int
}

func (f *fixture) gather() *crowd {
	f.t.Helper()
	c := &crowd{f: f}
	begun, go_ := make(chan struct{}), make(chan struct{})
	c.proceed = sync.OnceFunc(func() { close(go_) })
	f.t.Cleanup(c.proceed)
	var once sync.Once
	c.all.Go(func() {
		del := f.delivery("refs/heads/first", "", "A")
		_, err := f.EnqueuePush(f.t.Context(), &del, f.repo.ExternalID, func(*db.Delivery, db.Repository, []db.Workload) []db.Deployment {
			once.Do(func() { close(begun) })
			<-go_
			return nil
		})
		f.check(err)
	})
	<-begun
	return c
}

// add has a delivery wait, whose end is to say want. A workload without an ID panics, and -1 is none.
func (c *crowd) add(ctx context.Context, del *db.Delivery, w db.Workload, want string) {
	c.f.t.Helper()
	before := *del
	c.all.Go(func() {
		var said string
		defer func() {
			if panicked := recover(); panicked != nil {
				said = fmt.Sprint("panicked: ", panicked)
			}
			if !strings.Contains(said, want) {
				c.f.t.Errorf("%s>%s: %q, want %q", before.Before, before.After, said, want)
			}
		}()
		aim := func(del *db.Delivery, repo db.Repository, workloads []db.Workload) []db.Deployment {
			if w.ID == 0 {
				panic("no workload")
			}
			if repo.ID != c.f.repo.ID || len(workloads) != 1 || workloads[0].Name != c.f.workload.Name || workloads[0].Sealed != nil {
				c.f.t.Errorf("got %+v with %+v", repo, workloads)
			}
			if w.ID < 0 {
				del.Decision = "no workload follows it"
				return nil
			}
			return []db.Deployment{{WorkloadID: w.ID, Ref: del.Ref, Commit: del.After}}
		}
		out, err := db.Enqueued{}, error(nil)
		if del.RepositoryID != c.f.repo.ID { // one that was deleted meanwhile
			out, err = c.f.Enqueue(ctx, del, []db.Deployment{{WorkloadID: w.ID}})
		} else {
			del.RepositoryID = 0 // it is found
			out, err = c.f.EnqueuePush(ctx, del, c.f.repo.ExternalID, aim)
		}
		said = out.Decision
		if err != nil {
			said = err.Error()
		}
		if errors.Is(err, db.ErrNotFound) != (want == "not found") {
			c.f.t.Error(err)
		}
	})
	for c.waiting++; c.f.Arriving() < c.waiting; {
		runtime.Gosched()
	}
}

// serve lets all be recorded.
func (c *crowd) serve() {
	c.proceed()
	c.all.Wait()
}
