package db_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
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
		leased := func(want bool) {
			if got, err := f.Leased(t.Context(), dep.ID); err != nil || got != want {
				t.Errorf("leased: %t, %v; want %t", got, err, want)
			}
		}
		leased(false)
		f.check(f.Renew(t.Context(), dep, lease)) // late, but nobody took it
		leased(true)
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

// TestRenewAfterTheEnd: who keeps the lease may be late; what has ended has none.
func TestRenewAfterTheEnd(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.queued("", "A")
		dep := f.claim()
		f.save(dep, db.PhaseFailed)
		if err := f.Renew(t.Context(), dep, lease); !errors.Is(err, db.ErrLeaseLost) {
			t.Errorf("renewed: %v", err)
		}
		if got := f.read(dep.ID); !got.LeaseUntil.IsZero() {
			t.Errorf("it is leased until %s", got.LeaseUntil)
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

// TestClaimByRuntime: a process takes what it can run, and of a workload that moves what it can end too.
func TestClaimByRuntime(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		claims := func(runtimes ...string) bool {
			t.Helper()
			dep, err := f.Claim(t.Context(), "worker", over, runtimes...)
			f.check(err)
			return dep != nil
		}
		f.queued("", "A")
		if claims("swarm") || !claims("docker") {
			t.Error("what runs on Docker is claimed by the wrong one")
		}
		dep, err := f.Claim(t.Context(), "worker", lease)
		f.check(err)
		f.commit(dep)
		f.save(dep, db.PhaseLive)
		f.workload.Config = json.RawMessage(`{"runtime":"swarm"}`)
		f.check(f.SaveWorkload(t.Context(), &f.workload))
		f.queued("A", "B")
		if claims("swarm") || claims("docker") || !claims("docker", "swarm") {
			t.Error("what moves from Docker to the Swarm is claimed by the wrong one")
		}
		dep, err = f.Claim(t.Context(), "worker", lease)
		f.check(err)
		dep.Release, dep.Phase = release(dep), db.PhaseDraining
		dep.Release.Runtime = "swarm"
		f.check(f.Commit(t.Context(), dep, db.RuntimeState{WorkloadID: f.workload.ID, DeploymentID: dep.ID, ReleaseID: "r", Release: *dep.Release}))
		f.save(dep, db.PhaseLive)
		f.queued("B", "C")
		if claims("docker") || !claims("swarm") {
			t.Error("what runs on the Swarm is claimed by the wrong one")
		}
	})
}
