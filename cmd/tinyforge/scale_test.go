package main

import (
	"strings"
	"testing"
	"time"

	"tinyforge/db"
)

// spread makes a release of the desk's workload serve on the Swarm, and its config the one that is given.
func (d *desk) spread(config string, release db.Release) {
	d.Helper()
	d.configured(config)
	d.push("a")
	dep, err := d.store.Claim(d.Context(), "test", time.Minute)
	d.must(err)
	release.ID = "tf-site"
	dep.Phase, dep.Strategy, dep.Release = db.PhaseReaping, db.BlueGreen, &release
	d.must(d.store.Commit(d.Context(), dep, db.RuntimeState{WorkloadID: dep.WorkloadID, DeploymentID: dep.ID, ReleaseID: release.ID, Commit: dep.Commit, Release: release}))
	dep.Phase = db.PhaseLive
	d.must(d.store.Save(d.Context(), dep))
}

func (d *desk) configured(config string) {
	d.Helper()
	w, err := d.store.WorkloadByName(d.Context(), "site")
	d.must(err)
	w.Config = []byte(config)
	d.must(d.store.ChangeWorkload(d.Context(), &w))
}

func (d *desk) hasConfig(want string) {
	d.Helper()
	w, err := d.store.WorkloadByName(d.Context(), "site")
	d.must(err)
	if string(w.Config) != want {
		d.Errorf("the config is %s, want %s", w.Config, want)
	}
}

func TestScaleCommand(t *testing.T) {
	d := newDesk(t)
	d.says("scale takes a workload, and how often it is to run: tinyforge scale WORKLOAD N", "scale", "site")
	d.says("scale takes a workload, and how often it is to run", "scale", "site", "2", "3")
	d.says(`"many" is not how often something can run`, "scale", "site", "many")
	d.says(`there is no workload "sit": use one of site`, "scale", "sit", "3")
	d.configured(`{"image":"nginx:1.27"}`)
	d.says(`scale site: replicas needs the runtime "swarm": set "runtime: swarm" in the workload's config`, "scale", "site", "3")
	d.configured(`{"image":"nginx:1.27","runtime":"swarm"}`)
	d.says("scale site: nothing of the workload is live", "scale", "site", "3")
	d.hasConfig(`{"image":"nginx:1.27","runtime":"swarm"}`)

	d.spread(`{"memory":"64MB","image":"nginx:1.27","runtime":"swarm","replicas":2,"env":{"B":"2","A":"1"}}`, db.Release{Runtime: "swarm", Replicas: 2})
	for n, says := range map[string]string{"0": "replicas must be 1 or more", "-1": `"-1" is not how often something can run: write a whole number`,
		"101":          "scale site: replicas must be 100 or less: an administrator can allow more in the workload's settings, or with --max-replicas; --force",
		"1001 --force": "scale site: replicas must be at most 1000"} {
		d.says(says, append([]string{"scale", "site"}, strings.Fields(n)...)...)
	}
	d.says("deployment 2 queued: scale of site from 2 to 3\n", "scale", "site", "3")
	d.hasConfig(`{"memory":"64MB","image":"nginx:1.27","runtime":"swarm","replicas":3,"env":{"B":"2","A":"1"}}`)
	dep, err := d.store.Deployment(t.Context(), 2)
	d.must(err)
	if dep.Cause != db.CauseScale || dep.Phase != db.PhaseQueued {
		t.Errorf("queued %+v", dep)
	}
	d.says("scale", "deployments", "site")
	d.says("deployment 2 queued: scale of site from 2 to 4, in place of the 3 that waited\n", "scale", "site", "4")
	d.hasConfig(`{"memory":"64MB","image":"nginx:1.27","runtime":"swarm","replicas":4,"env":{"B":"2","A":"1"}}`)
	d.says("deployment 2 queued: scale of site from 2 to 101, in place of the 4 that waited\n", "scale", "site", "101", "--force")
	d.says("deployment 2 queued: scale of site from 2 to 7, in place of the 101 that waited\n", "scale", "site", "7", "--max-replicas", "6") // as its config says more
	d.push("b")
	d.says("deployment 3 waits, a push that takes it along: scale of site from 2 to 5, in place of the 7 that waited\n", "scale", "site", "5")
}

func TestScaleCommandOfWhatRunsOnce(t *testing.T) {
	d := newDesk(t)
	d.spread(`{"image":"nginx:1.27","runtime":"swarm"}`, db.Release{})
	d.says("what is live can run only once, on one Docker", "scale", "site", "3")
	d.hasConfig(`{"image":"nginx:1.27","runtime":"swarm"}`)
}
