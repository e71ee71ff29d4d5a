package db_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tinyforge/db"
)

func TestEnqueue(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		del := f.delivery(main, "A", "B")
		del.Decision = "to be replaced"
		out, err := f.Enqueue(t.Context(), &del, deploy(main, "B", f.workload))
		f.check(err)
		if out.Duplicate || len(out.Deployments) != 1 || out.Decision != fmt.Sprintf("deployment %d queued", out.Deployments[0]) {
			t.Fatalf("got %+v", out)
		}
		if del.ID == 0 || !del.Accepted || del.Decision != out.Decision || del.ReceivedAt.IsZero() {
			t.Errorf("got %+v", del)
		}
		// another process sees it: it is durable before Enqueue returns
		dep, err := f.again().Deployment(t.Context(), out.Deployments[0])
		f.check(err)
		if dep.WorkloadID != f.workload.ID || dep.RepositoryID != f.repo.ID || dep.DeliveryID != del.ID || dep.Ref != main ||
			dep.Commit != hash("B") || dep.Message != "commit B" || dep.Author != "Ann" {
			t.Errorf("got %+v", dep)
		}
		if dep.Phase != db.PhaseQueued || dep.Status != db.StatusPending || dep.Reported != "" || dep.Attempt != 0 || dep.Release != nil ||
			dep.LeaseOwner != "" || !dep.LeaseUntil.IsZero() || !dep.StartedAt.IsZero() || !dep.FinishedAt.IsZero() {
			t.Errorf("got %+v", dep)
		}
		if n := f.count("deliveries", `accepted AND "before" = ? AND "after" = ? AND event = 'push' AND external_id = ?`,
			hash("A"), hash("B"), del.ExternalID); n != 1 {
			t.Errorf("the delivery is recorded %d times", n)
		}
	})
}

func TestDeliveryThatMovesNothing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		unknown := f.delivery(main, "", "A")
		unknown.RepositoryID, unknown.Decision = 0, "no workload uses acme/other"
		del := unknown
		out, err := f.Enqueue(t.Context(), &del, nil)
		f.check(err)
		if out.Duplicate || out.Decision != "no workload uses acme/other" || len(out.Deployments) != 0 || del.ID == 0 {
			t.Errorf("got %+v for %+v", out, del)
		}
		del = unknown
		if out, err := f.Enqueue(t.Context(), &del, nil); err != nil || !out.Duplicate || out.Decision != "no workload uses acme/other" {
			t.Errorf("again: got %+v, %v", out, err)
		}
		followed := f.delivery(main, "", "A")
		followed.Decision = "no workload follows it"
		if out := f.enqueue(followed); out.Decision != "no workload follows it" || f.count("deliveries", "repository_id IS NULL") != 1 {
			t.Errorf("got %+v", out)
		}
		lost := f.delivery(main, "", "A")
		lost.RepositoryID = 999
		if _, err := f.Enqueue(t.Context(), &lost, nil); !errors.Is(err, db.ErrNotFound) || lost.ID != 0 {
			t.Errorf("a repository that does not exist: %v", err)
		}
	})
}

func TestDuplicateID(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		del := f.delivery(main, "", "A")
		first := f.enqueue(del, deploy(main, "A", f.workload)...)
		second := f.enqueue(del, deploy(main, "A", f.workload)...)
		if !second.Duplicate || second.Decision != first.Decision || len(second.Deployments) != 0 {
			t.Errorf("got %+v after %+v", second, first)
		}
		other := db.Forge{Name: "other", Kind: "gitea"} // has ids of its own
		f.check(f.SaveForge(t.Context(), &other))
		del.ForgeID, del.RepositoryID = other.ID, 0
		if out := f.enqueue(del); out.Duplicate {
			t.Errorf("got %+v", out)
		}
		if n := f.count("deployments", "1 = 1"); n != 1 {
			t.Errorf("%d deployments", n)
		}
	})
}

func TestInstallationDelivery(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		del := db.Delivery{ForgeID: f.forge.ID, ExternalID: "i", Event: "installation", Decision: "installation of acme noted"}
		change := db.InstallationChange{Installation: db.Installation{ForgeID: f.forge.ID, ExternalID: 5, Account: "acme"},
			Added: []db.Repository{{ExternalID: 77, FullName: "acme/new"}}}
		first := del
		out, err := f.EnqueueInstallation(t.Context(), &first, change)
		if f.check(err); out.Duplicate || out.Decision != del.Decision || first.ID == 0 {
			t.Errorf("got %+v", out)
		}
		change.Removed = []int64{77}
		out, err = f.EnqueueInstallation(t.Context(), &del, change)
		if f.check(err); !out.Duplicate || out.Decision != del.Decision {
			t.Errorf("again: got %+v", out)
		}
		if r, err := f.RepositoryByExternalID(t.Context(), f.forge.ID, 77); err != nil || r.Removed || r.InstallationID == 0 {
			t.Errorf("got %+v, %v", r, err)
		}
		change.Installation.ForgeID = 999
		del.ExternalID = "j"
		if _, err := f.EnqueueInstallation(t.Context(), &del, change); err == nil || f.count("deliveries", "external_id = 'j'") != 0 {
			t.Errorf("a change that cannot be made leaves its delivery: %v", err)
		}
	})
}

func TestTextThatIsNoText(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		del := f.delivery(main, "", "A")
		list := deploy(main, "A", f.workload)
		list[0].Message, list[0].Author = "NUL\x00 and \xff", "Zoë\x00"
		del.Ref = "refs/heads/\x00\xc3"
		out := f.enqueue(del, list...)
		if dep := f.read(out.Deployments[0]); dep.Message != "NUL and \uFFFD" || dep.Author != "Zoë" {
			t.Errorf("got %q by %q", dep.Message, dep.Author)
		}
		dep := f.claim()
		dep.Error, dep.Tail = "it said \x00\xfe", "binary \x00\x01\xff\xfe output"
		f.save(dep, db.PhaseFailed)
		if got := f.read(dep.ID); got.Error != "it said \uFFFD" || got.Tail != "binary \x01\uFFFD output" {
			t.Errorf("got %q, %q", got.Error, got.Tail)
		}
	})
}

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
