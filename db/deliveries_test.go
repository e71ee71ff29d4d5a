package db_test

import (
	"errors"
	"fmt"
	"testing"

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
