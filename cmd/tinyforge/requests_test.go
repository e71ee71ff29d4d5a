package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/db/dbtest"
	"tinyforge/deploy/shared"
)

// desk is a database of which somebody asks things on the command line.
type desk struct {
	*testing.T
	env      []string
	store    *db.DB
	workload db.Workload
	pushes   int
}

func newDesk(t *testing.T, env ...string) *desk {
	t.Helper()
	d := &desk{T: t, env: append([]string{"TINYFORGE_DATA=" + t.TempDir()}, env...)}
	c, _, err := readConfig("migrate", nil, d.env, io.Discard)
	d.must(err)
	d.store, err = readyStore(t.Context(), c)
	d.must(err)
	t.Cleanup(func() { _ = d.store.Close() })
	forge := db.Forge{Name: "forge", Kind: "github"}
	d.must(d.store.SaveForge(t.Context(), &forge))
	repo := db.Repository{ForgeID: forge.ID, ExternalID: 1, FullName: "acme/site", DefaultBranch: "main"}
	d.must(d.store.SaveRepository(t.Context(), &repo))
	d.workload = db.Workload{Name: "site", RepositoryID: repo.ID, Source: "image", Config: []byte("{}"), Enabled: true}
	d.must(d.store.SaveWorkload(t.Context(), &d.workload))
	return d
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// push queues the deployment of a commit that is a letter, repeated.
func (d *desk) push(letter string) int64 {
	d.Helper()
	d.pushes++
	out, err := d.store.Enqueue(d.Context(), &db.Delivery{
		ForgeID: 1, ExternalID: fmt.Sprint(d.pushes), Event: "push", RepositoryID: d.workload.RepositoryID, Ref: "refs/heads/main",
		Before: fmt.Sprintf("%040d", d.pushes), After: fmt.Sprintf("%040d", d.pushes+1),
	}, []db.Deployment{{WorkloadID: d.workload.ID, Ref: "refs/heads/main", Commit: strings.Repeat(letter, 40), Message: "commit " + letter}})
	d.must(err)
	return out.Deployments[0]
}

// live does what a server does with what is queued.
func (d *desk) live() {
	d.Helper()
	dep, err := d.store.Claim(d.Context(), "test", time.Minute)
	d.must(err)
	dep.Phase, dep.Strategy, dep.Release = db.PhaseReaping, db.Recreate, &db.Release{ID: "tf-site"}
	d.must(d.store.Commit(d.Context(), dep, db.RuntimeState{WorkloadID: dep.WorkloadID, DeploymentID: dep.ID, Commit: dep.Commit}))
	dep.Phase = db.PhaseLive
	d.must(d.store.Save(d.Context(), dep))
}

// fails does what a server does with what is queued when it cannot be deployed.
func (d *desk) fails(why string) {
	d.Helper()
	dep, err := d.store.Claim(d.Context(), "test", time.Minute)
	d.must(err)
	dep.Phase, dep.Error = db.PhaseFailed, why
	d.must(d.store.Save(d.Context(), dep))
}

// ask runs a command and returns what it printed, its error last.
func (d *desk) ask(args ...string) string {
	d.Helper()
	var out bytes.Buffer
	if err := run(d.Context(), args, d.env, &out, &out); err != nil {
		fmt.Fprintf(&out, "error: %v", err)
	}
	return out.String()
}

func (d *desk) says(want string, args ...string) {
	d.Helper()
	if got := d.ask(args...); !strings.Contains(got, want) {
		d.Errorf("tinyforge %s printed\n%s\nwant it to say %q", strings.Join(args, " "), got, want)
	}
}

func TestRequests(t *testing.T) {
	d := newDesk(t)
	d.says("workload site was never deployed: push to its repository", "deployments", "site")
	d.says("workload site has no earlier release to go back to", "rollback", "site")
	d.says("workload site has no deployment in progress", "cancel", "site")
	first := d.push("a")
	d.live()
	d.push("b")
	d.live()
	d.says("deployment 3 queued: rollback of site at aaaaaaa", "rollback", "site")
	d.says("deployment 3 is cancelled", "cancel", "site")
	d.says("deployment 4 queued: redeploy of site at bbbbbbb", "redeploy", "site")
	d.says("deployment 5 queued: redeploy of site at aaaaaaa", "redeploy", "site", fmt.Sprint(first))
	d.says("cannot roll back to this deployment: deployment 2 is live", "rollback", "site", "2")
	d.says("too late to cancel this deployment: what it has made live can be undone with tinyforge rollback site", "cancel", "site", "2")
	d.must(d.store.AppendLog(t.Context(), db.LogLine{DeploymentID: 2, Phase: db.PhaseBuilding, At: time.Now(), Text: "Built it"}))
	d.says("building   Built it", "log", "site", "2")
	d.says("deployment 2 of site: live\n", "log", "site", "2")
	d.fails("Fetch failed: the forge answered 500")
	d.says("deployment 5 of site: failed: Fetch failed: the forge answered 500\n", "log", "site")

	list := d.ask("deployments", "site")
	for _, want := range []string{"redeploy  aaaaaaa", "superseded  redeploy  bbbbbbb", "cancelled   rollback  aaaaaaa", "live        push"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list has no %q:\n%s", want, list)
		}
	}
}

func TestRequestsForWhatIsNotThere(t *testing.T) {
	d := newDesk(t)
	d.says(`there is no workload "sit": use one of site`, "redeploy", "sit")
	d.says(`"x" is not the number of a deployment: tinyforge deployments site lists them`, "log", "site", "x")
	d.says("workload site has no deployment 7: tinyforge deployments site lists them", "rollback", "site", "7")
	d.says("tinyforge cancel WORKLOAD [N]", "cancel")
	d.says("deployments takes one workload and nothing else: tinyforge deployments WORKLOAD", "deployments", "site", "1")
	d.push("a")
	d.says("remove takes one workload and nothing else", "remove", "site", "1", "--volumes")
}

// TestRequestsThatNobodyDoes: who asks for what no running process offers is told so.
func TestRequestsThatNobodyDoes(t *testing.T) {
	d := newDesk(t, "TINYFORGE_DATABASE="+dbtest.Postgres(t))
	d.must(d.store.JoinProcess(t.Context(), db.Process{ID: "other", Runtimes: []string{"swarm"}}))
	defer shared.Await(t.Context(), d.store, db.Process{ID: "other"})()
	const nobody = "no running process deploys to docker: start one without --runtimes, or with docker in it"
	d.push("a")
	d.fails("It broke")
	d.push("b")
	d.says("deployment 2 of site: queued: "+nobody, "log", "site")
	if list := d.ask("deployments", "site"); strings.Count(list, nobody) != 1 || !strings.Contains(list, "It broke") {
		t.Errorf("listed are\n%s", list)
	}
	d.says("workload site waits to be taken down: "+nobody+"; its volumes are kept", "remove", "site")
	d.says("workload site is being taken down: "+nobody, "redeploy", "site")
}

// TestRequestsMakeNothing: a wrong data folder must not look like an empty Tinyforge.
func TestRequestsMakeNothing(t *testing.T) {
	d := newDesk(t)
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	d.says("there is no Tinyforge in "+elsewhere, "deployments", "site", "--data", elsewhere)
	if _, err := os.Stat(elsewhere); !os.IsNotExist(err) {
		t.Errorf("the folder was made: %v", err)
	}
}

func TestRemoveAsksForVolumesExplicitly(t *testing.T) {
	for flag, volumes := range map[string]bool{"--volumes": true, "--volumes=false": false} {
		d := newDesk(t)
		d.push("a")
		if got := d.ask("remove", "site", flag); strings.Contains(got, "error") {
			t.Errorf("remove %s: %s", flag, got)
			continue
		}
		w, err := d.store.Workload(t.Context(), d.workload.ID)
		d.must(err)
		if w.DeletedAt == nil || w.VolumesToo != volumes {
			t.Errorf("remove %s: deleted %v, volumes too %v", flag, w.DeletedAt, w.VolumesToo)
		}
		d.says("workload site is being taken down", "deployments", "site")
	}
}
