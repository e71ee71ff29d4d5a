package db_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"tinyforge/db"
)

const image = "ghcr.io/acme/site:latest"

// published is a delivery about an image that was never sent before.
func (f *fixture) published(digest string) db.Delivery {
	f.sent++
	return db.Delivery{ForgeID: f.forge.ID, ExternalID: fmt.Sprintf("delivery-%d", f.sent), Event: "package", Ref: image, After: digest}
}

func (f *fixture) publish(digest string, deployments ...db.Deployment) db.Enqueued {
	f.t.Helper()
	del := f.published(digest)
	out, err := f.EnqueuePackage(f.t.Context(), &del, deployments)
	f.check(err)
	return out
}

func TestPackageRedeploysWhatIsLive(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		live := f.live("", "one")
		out := f.publish("sha256:1", db.Deployment{WorkloadID: f.workload.ID, Commit: hash("other"), Message: "other"})
		if len(out.Deployments) != 1 {
			t.Fatalf("got %+v", out)
		}
		dep := f.read(out.Deployments[0])
		if dep.Commit != hash("one") || dep.Ref != main || dep.Message != live.Message || dep.Author != "Ann" ||
			dep.Cause != db.CausePackage || dep.RepositoryID != f.repo.ID || dep.DeliveryID == 0 || dep.Phase != db.PhaseQueued {
			t.Errorf("queued %+v", dep)
		}
		for _, digest := range []string{"sha256:1", "sha256:2", ""} {
			if out := f.publish(digest, db.Deployment{WorkloadID: f.workload.ID}); len(out.Deployments) != 0 {
				t.Errorf("%q is deployed while another is queued: %+v", digest, out)
			}
		}
		if f.read(dep.ID).Phase != db.PhaseQueued {
			t.Error("the queued one was superseded")
		}
	})
}

// Both kinds of event, and the hooks of a repository and of its organisation, tell of one image.
func TestPackageIsDeployedOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.live("", "one")
		for _, step := range []struct {
			digest string
			queued bool
			says   string
		}{
			{"sha256:1", true, "queued"},
			{"sha256:1", false, "already delivered: sha256:1 is what " + image + " was last moved to"},
			{"sha256:2", true, "queued"},
			{"sha256:1", true, "queued"}, // the tag was moved back
			{"", true, "queued"},         // who knows
			{"", true, "queued"},
		} {
			out := f.publish(step.digest, db.Deployment{WorkloadID: f.workload.ID})
			if (len(out.Deployments) == 1) != step.queued || !strings.Contains(out.Decision, step.says) {
				t.Errorf("%q: %+v", step.digest, out)
			}
			if step.queued {
				dep := f.claim()
				f.commit(dep)
				f.save(dep, db.PhaseLive)
			}
		}
		del := f.published("sha256:9")
		for _, duplicate := range []bool{false, true} {
			out, err := f.EnqueuePackage(t.Context(), &del, []db.Deployment{{WorkloadID: f.workload.ID}})
			f.check(err)
			if out.Duplicate != duplicate || (len(out.Deployments) == 0) != duplicate {
				t.Errorf("by its id: %+v", out)
			}
		}
	})
}

func TestPackageAtOnceIsDeployedOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.live("", "one")
		var wg sync.WaitGroup
		outs := make([]db.Enqueued, 8)
		for i := range outs {
			del := f.published("sha256:1")
			wg.Go(func() {
				var err error
				if outs[i], err = f.EnqueuePackage(t.Context(), &del, []db.Deployment{{WorkloadID: f.workload.ID}}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		queued := 0
		for _, out := range outs {
			queued += len(out.Deployments)
		}
		if queued != 1 {
			t.Errorf("%d deployments: %+v", queued, outs)
		}
	})
}

// What a push is deploying must not be superseded by the same image under an older commit.
func TestPackageFollowsWhatIsOnItsWay(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ask := db.Deployment{WorkloadID: f.workload.ID}
		f.live("", "one")
		second := f.queued("one", "two")
		if out := f.publish("sha256:1", ask); len(out.Deployments) != 0 || !strings.Contains(out.Decision, fmt.Sprintf("deployment %d, which waits for its turn, pulls it", second.ID)) {
			t.Errorf("got %+v", out)
		}
		dep := f.claim()
		out := f.publish("sha256:2", ask)
		if next := f.read(out.Deployments[0]); next.Commit != hash("two") {
			t.Errorf("while two is being built, %s is queued", next.Commit)
		}
		f.check(f.Cancel(t.Context(), out.Deployments[0]))
		f.save(dep, db.PhaseUndoing)
		out = f.publish("sha256:3", ask)
		if next := f.read(out.Deployments[0]); next.Commit != hash("one") {
			t.Errorf("while two is taken back, %s is queued", next.Commit)
		}
		f.save(dep, db.PhaseFailed)
	})
}

// A push that waits is skipped where its commit is live by then. The new image must be pulled all the same.
func TestPackageThatReliesOnWhatIsQueued(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ask := db.Deployment{WorkloadID: f.workload.ID}
		first := f.live("", "one")
		f.queued("one", "two")
		building := f.claim()
		push := f.queued("two", "one") // back again
		if out := f.publish("sha256:1", ask); len(out.Deployments) != 0 || f.read(push.ID).Cause != db.CausePackage {
			t.Errorf("got %+v, queued is %+v", out, f.read(push.ID))
		}
		f.save(building, db.PhaseFailed)
		if dep := f.claim(); dep.ID != push.ID || dep.Cause != db.CausePackage || dep.DeliveryID != push.DeliveryID {
			t.Errorf("claimed %+v", dep)
		}
		again, err := f.QueueRedeploy(t.Context(), first.ID) // is never skipped
		f.check(err)
		if out := f.publish("sha256:2", ask); len(out.Deployments) != 0 || f.read(again.ID).Cause != db.CauseRedeploy {
			t.Errorf("got %+v, queued is %+v", out, f.read(again.ID))
		}
	})
}

func TestPackageSupersedesAQueuedRollback(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.live("", "one")
		f.live("one", "two")
		back, err := f.QueueRollback(t.Context(), first.ID)
		f.check(err)
		out := f.publish("sha256:1", db.Deployment{WorkloadID: f.workload.ID})
		if len(out.Deployments) != 1 || f.read(out.Deployments[0]).Commit != hash("two") || f.read(back.ID).Phase != db.PhaseSuperseded {
			t.Errorf("got %+v", out)
		}
	})
}

func TestPackageOfAWorkloadThatIsNotLive(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		out := f.publish("sha256:1", db.Deployment{WorkloadID: f.workload.ID})
		if want := "workload site was never deployed, and this names no commit: push one to deploy it first"; len(out.Deployments) != 0 || out.Decision != want {
			t.Errorf("got %+v", out)
		}
		out = f.publish("sha256:1", db.Deployment{WorkloadID: f.workload.ID, Ref: main, Commit: hash("built")}) // the other event
		if len(out.Deployments) != 1 || f.read(out.Deployments[0]).Commit != hash("built") || f.read(out.Deployments[0]).Ref != main {
			t.Errorf("got %+v", out)
		}
		f.check(f.DeleteWorkload(t.Context(), f.workload.ID, false))
		out = f.publish("sha256:2", db.Deployment{WorkloadID: f.workload.ID})
		if want := fmt.Sprintf("workload %d was deleted", f.workload.ID); len(out.Deployments) != 0 || out.Decision != want {
			t.Errorf("got %+v", out)
		}
	})
}

func TestFollowsImage(t *testing.T) {
	for _, tt := range []struct {
		config, image, tag string
		want               bool
	}{
		{`{"image":"ghcr.io/acme/site"}`, "ghcr.io/acme/site", "latest", true},
		{`{"image":"ghcr.io/acme/site"}`, "ghcr.io/acme/site", "", true},
		{`{"image":"ghcr.io/acme/site"}`, "ghcr.io/acme/site", "1", false},
		{`{"image":"ghcr.io/acme/site:1"}`, "ghcr.io/acme/site", "1", true},
		{`{"image":"ghcr.io/acme/site:1"}`, "ghcr.io/acme/site", "latest", false},
		{`{"image":"ghcr.io/acme/site:1"}`, "ghcr.io/acme/site-api", "1", false},
		{`{"image":"ghcr.io/acme/site:1"}`, "other.example.com/acme/site", "1", false},
		{`{"image":"GHCR.io/acme/site:1"}`, "ghcr.io/acme/site", "1", true},
		{`{"image":"127.0.0.1:3000/acme/site"}`, "127.0.0.1:3000/acme/site", "latest", true},
		{`{"image":"127.0.0.1:3000/acme/site:{{.ShortCommit}}"}`, "127.0.0.1:3000/acme/site", "", false},
		{`{"image":"ghcr.io/acme/site@sha256:1234"}`, "ghcr.io/acme/site", "", false},
		{`{"image":"ghcr.io/acme/site:1@sha256:1234"}`, "ghcr.io/acme/site", "1", false},
		{`{"dockerfile":"Dockerfile"}`, "", "", false},
		{`{`, "ghcr.io/acme/site", "latest", false},
	} {
		w := db.Workload{Config: []byte(tt.config)}
		if got := w.FollowsImage(tt.image, tt.tag); got != tt.want {
			t.Errorf("%s and %s:%s: %t", tt.config, tt.image, tt.tag, got)
		}
	}
}
