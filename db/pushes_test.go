package db_test

import (
	"fmt"
	"strings"
	"testing"

	"tinyforge/db"
)

// move is a push, in short: "A>B"; ">A" makes the ref and "A>" deletes it.
type move = string

// replay sends pushes of one ref and returns those that were accepted.
func (f *fixture) replay(ref string, moves ...move) (accepted []move) {
	f.t.Helper()
	for _, m := range moves {
		before, after, _ := strings.Cut(m, ">")
		del := f.delivery(ref, before, after)
		var list []db.Deployment
		if after != "" {
			list = deploy(ref, after, f.workload)
		}
		_, err := f.Enqueue(f.t.Context(), &del, list)
		f.check(err)
		if del.Accepted {
			accepted = append(accepted, m)
		} else if !strings.Contains(del.Decision, "already delivered") {
			f.t.Errorf("%s is refused without a reason: %q", m, del.Decision)
		}
	}
	return accepted
}

func TestPushesOfOneRef(t *testing.T) {
	type pushes = []move
	cases := []struct {
		name     string
		sent     pushes
		accepted pushes
	}{
		{"in order", pushes{">A", "A>B", "B>C"}, pushes{">A", "A>B", "B>C"}},
		{"each by two hooks", pushes{">A", ">A", "A>B", "A>B", "B>C", "B>C"}, pushes{">A", "A>B", "B>C"}},
		{"two hooks, interleaved", pushes{">A", "A>B", ">A", "B>C", "A>B", "B>C"}, pushes{">A", "A>B", "B>C"}},
		{"two hooks, one far behind", pushes{">A", "A>B", "B>C", ">A", "A>B", "B>C"}, pushes{">A", "A>B", "B>C"}},
		{"back and forth", pushes{">A", "A>B", "B>A", "A>B", "B>A"}, pushes{">A", "A>B", "B>A", "A>B", "B>A"}},
		{"back and forth by two hooks", pushes{">A", ">A", "A>B", "A>B", "B>A", "B>A", "A>B", "A>B"}, pushes{">A", "A>B", "B>A", "A>B"}},
		{"first two swapped", pushes{"A>B", ">A"}, pushes{"A>B"}},
		{"two swapped", pushes{">A", "B>C", "A>B", "C>D"}, pushes{">A", "B>C", "C>D"}},
		{"one late", pushes{">A", "B>C", "C>D", "A>B", "D>E"}, pushes{">A", "B>C", "C>D", "D>E"}},
		{"one late, nothing before it", pushes{"B>C", "C>D", "A>B"}, pushes{"B>C", "C>D"}},
		{"missed ones found, oldest first", pushes{">A", "D>E", "A>B", "B>C", "C>D", "E>F"}, pushes{">A", "D>E", "E>F"}},
		{"missed ones found, newest first", pushes{">A", "D>E", "C>D", "B>C", "A>B", "E>F"}, pushes{">A", "D>E", "E>F"}},
		{"missed ones found twice", pushes{">A", "C>D", "A>B", "A>B", "B>C", "B>C", "C>D"}, pushes{">A", "C>D"}},
		{"some missed for ever", pushes{">A", "B>C", "D>E"}, pushes{">A", "B>C", "D>E"}},
		{"back missed", pushes{">A", "A>B", "A>C"}, pushes{">A", "A>B", "A>C"}},
		{"somewhere missed, then back", pushes{">A", "A>B", "B>C", "X>B"}, pushes{">A", "A>B", "B>C", "X>B"}},
		{"replayed after months", pushes{">A", "A>B", "B>C", "C>D", "D>E", "A>B"}, pushes{">A", "A>B", "B>C", "C>D", "D>E"}},
		{"deleted and made again", pushes{">A", "A>", ">A", "A>B"}, pushes{">A", "A>", ">A", "A>B"}},
		{"deleted twice", pushes{">A", "A>", "A>", ">B"}, pushes{">A", "A>", ">B"}},
		{"made again before it was deleted", pushes{">A", ">B", "A>", "B>C"}, pushes{">A", ">B", "B>C"}},
		{"deletion missed", pushes{">A", "A>B", ">C"}, pushes{">A", "A>B", ">C"}},
	}
	each(t, func(t *testing.T, f *fixture) {
		for i, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				inner := *f
				inner.t = t
				for _, ref := range []string{fmt.Sprintf("refs/heads/%d", i), fmt.Sprintf("refs/tags/%d", i)} {
					equal(t, ref, inner.replay(ref, c.sent...), c.accepted)
				}
				f.sent = inner.sent
			})
		}
	})
}

// Three pushes after a first one, in any order, end with the newest.
func TestPushesInAnyOrder(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		pushes := []move{"A>B", "B>C", "C>D"}
		for i, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
			sent := []move{">A"}
			for _, n := range order {
				sent = append(sent, pushes[n])
			}
			accepted := f.replay(fmt.Sprintf("refs/heads/order-%d", i), sent...)
			if accepted[len(accepted)-1] != "C>D" {
				t.Errorf("%v ends with %v", sent, accepted)
			}
		}
	})
}

func TestEachForcePushBackAndForthDeploys(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		before := ""
		for _, after := range []string{"A", "B", "A", "B"} {
			if dep := f.live(before, after); dep.Commit != hash(after) {
				t.Errorf("push of %s deployed %s", after, dep.Commit)
			}
			before = after
		}
		list, err := f.DeploymentsOf(t.Context(), f.workload.ID, 10)
		f.check(err)
		equal(t, "phases, newest first", phases(list), []db.Phase{db.PhaseLive, db.PhaseRetired, db.PhaseRetired, db.PhaseRetired})
	})
}

func TestNewerPushSupersedes(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		other := f.newWorkload("other")
		f.enqueue(f.delivery("refs/heads/dev", "", "X"), deploy("refs/heads/dev", "X", other)...)
		before := ""
		for i := range 50 {
			after := fmt.Sprint("commit", i)
			f.queued(before, after)
			before = after
		}
		list, err := f.DeploymentsOf(t.Context(), f.workload.ID, 100)
		f.check(err)
		if len(list) != 50 || list[0].Phase != db.PhaseQueued {
			t.Fatalf("got %d deployments, the newest %v", len(list), list[0].Phase)
		}
		for i, dep := range list[1:] {
			if dep.Phase != db.PhaseSuperseded || dep.Status != db.StatusFailure || dep.SupersededBy != list[i].Commit ||
				dep.FinishedAt.IsZero() || dep.Duration() < 0 {
				t.Errorf("got %+v", dep)
			}
		}
		counts, err := f.CountDeployments(t.Context())
		f.check(err)
		if len(counts) != 2 || counts[db.PhaseQueued] != 2 || counts[db.PhaseSuperseded] != 49 {
			t.Errorf("counts %v: the other workload's is not superseded", counts)
		}
		if dep := f.claim(); dep.WorkloadID != other.ID {
			t.Error("the other workload's deployment is older")
		}
		if dep := f.claim(); dep.Commit != hash("commit49") {
			t.Errorf("got %+v", dep)
		}
	})
}

func TestPushWhileOneIsDeployed(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.queued("", "A")
		first := f.claim()
		second, third := f.queued("A", "B"), f.queued("B", "C")
		if none, err := f.Claim(t.Context(), "other", lease); err != nil || none != nil {
			t.Errorf("claimed %+v, %v while another is in progress", none, err)
		}
		other := f.newWorkload("other")
		f.enqueue(f.delivery("refs/heads/dev", "", "X"), deploy("refs/heads/dev", "X", other)...)
		if dep := f.claim(); dep.WorkloadID != other.ID {
			t.Errorf("claimed %+v; what waits must not hold up other workloads", dep)
		}
		if f.read(first.ID).Phase != db.PhaseBuilding || f.read(second.ID).Phase != db.PhaseSuperseded {
			t.Error("only what is queued is superseded")
		}
		f.save(first, db.PhaseFailed)
		if dep := f.claim(); dep.ID != third.ID {
			t.Errorf("claimed %d, want %d", dep.ID, third.ID)
		}
	})
}

func TestNeedlessPush(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		refs := 0
		// each push comes from a ref of its own, so that it is a new move
		push := func(commit string) db.Enqueued {
			t.Helper()
			refs++
			ref := fmt.Sprintf("refs/heads/%d", refs)
			return f.enqueue(f.delivery(ref, "", commit), deploy(ref, commit, f.workload)...)
		}
		needless := func(why, commit string) {
			t.Helper()
			if out := push(commit); len(out.Deployments) != 0 || out.Duplicate || !strings.Contains(out.Decision, why) {
				t.Errorf("got %+v, want %q", out, why)
			}
		}
		push("A")
		needless("being deployed already", "A") // queued
		dep := f.claim()
		needless("being deployed already", "A")
		f.commit(dep)
		needless("being deployed already", "A") // draining
		f.save(dep, db.PhaseLive)
		needless("live already", "A")

		if out := push("B"); len(out.Deployments) != 1 {
			t.Fatalf("got %+v", out)
		}
		dep = f.claim()
		if out := push("A"); len(out.Deployments) != 1 {
			t.Errorf("A is live but will not be when B is: %+v", out)
		}
		if out := push("B"); len(out.Deployments) != 1 {
			t.Errorf("B is in progress but A comes after it: %+v", out)
		}
		f.save(dep, db.PhaseUndoing)
		f.save(f.claimAfter(dep), db.PhaseUndoing)
		if out := push("B"); len(out.Deployments) != 1 {
			t.Errorf("B is being undone: %+v", out)
		}

		both := f.enqueue(f.delivery("refs/heads/both", "", "Z"), deploy("refs/heads/both", "Z", f.workload, f.newWorkload("other"))...)
		if len(both.Deployments) != 2 || strings.Count(both.Decision, "queued") != 2 {
			t.Errorf("got %+v", both)
		}
	})
}

// claimAfter fails dep and claims the workload's next one.
func (f *fixture) claimAfter(dep *db.Deployment) *db.Deployment {
	f.t.Helper()
	f.save(dep, db.PhaseFailed)
	return f.claim()
}
