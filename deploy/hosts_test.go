package deploy_test

import (
	"encoding/json"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// second makes another workload of the world's repository live.
func (w *world) second(name, host, letter string) (db.Workload, db.Deployment) {
	w.t.Helper()
	other := db.Workload{Name: name, RepositoryID: w.repo.ID, Source: "dockerfile", Config: json.RawMessage(blueGreen), Host: host, Enabled: true}
	must(w.t, w.db.SaveWorkload(w.t.Context(), &other))
	first := w.workload
	w.workload = other
	dep := w.run(w.push(letter))
	w.workload = first
	return other, dep
}

// recoverOnce makes a pass that may fail.
func (w *world) recoverOnce() error { return deploy.NewRecovery(w.deployer).Pass(w.t.Context()) }

func (w *world) pass() {
	w.t.Helper()
	must(w.t, w.recoverOnce())
}

func (w *world) routesAre(want map[string]db.Deployment) {
	w.t.Helper()
	got := w.router.Routes()
	for host, dep := range want {
		if got[host] != string(dep.Release.ID) {
			w.t.Errorf("%s leads to %q, want %s", host, got[host], dep.Release.ID)
		}
	}
	if len(got) != len(want) {
		w.t.Errorf("routes %v", got)
	}
}

// TestHostChangesHands: the recovery of the workload that had a host must not take it from the one that has it.
func TestHostChangesHands(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	web := w.live("a")
	api, other := w.second("api", "api.example.com", "b")
	w.routesAre(map[string]db.Deployment{host: web, "api.example.com": other})

	w.workload.Host = "old.example.com"
	must(t, w.db.SaveWorkload(t.Context(), &w.workload))
	api.Host = host
	must(t, w.db.SaveWorkload(t.Context(), &api))
	for range 2 {
		w.pass()
		w.routesAre(map[string]db.Deployment{"old.example.com": web, host: other})
	}
}

// TestDeletedWorkloadGivesItsHostAway: a workload that waits for its last report has no say over its host.
func TestDeletedWorkloadGivesItsHostAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	must(t, w.db.DeleteWorkload(t.Context(), w.workload.ID, false))
	_, heir := w.second("heir", host, "b")
	for range 2 {
		w.pass()
		w.routesAre(map[string]db.Deployment{host: heir})
	}
}

// TestHostChangedBeforeADeploy: the deploy serves the old host too until the recovery takes it away.
func TestHostChangedBeforeADeploy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	w.workload.Host = "new.example.com"
	must(t, w.db.SaveWorkload(t.Context(), &w.workload))
	dep := w.run(w.push("b"))
	w.routesAre(map[string]db.Deployment{host: dep, "new.example.com": dep})
	w.pass()
	w.routesAre(map[string]db.Deployment{"new.example.com": dep})

	failed := w.run(w.push("x"))
	if failed.Phase != db.PhaseFailed {
		t.Errorf("phase %s", failed.Phase)
	}
	w.routesAre(map[string]db.Deployment{"new.example.com": dep})
}

// TestHeldRouteIsReleased: an undo that could not finish leaves requests waiting; the recovery lets them go.
func TestHeldRouteIsReleased(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", recreate)
	w.live("a")
	gone := deploytest.FailAt("runtime.stop:before", &deploy.Failure{Text: "Docker is not reachable"})
	w.deployer.Runtime = w.runtime.With(gone)
	if dep := w.run(w.push("b")); dep.Phase != db.PhaseFailed {
		t.Fatalf("phase %s", dep.Phase)
	}
	w.deployer.Runtime = w.runtime
	w.pass()
	w.serves("a") // asks the site, which would wait
}

// TestRecoveryStartsAlone: two releases never run on one volume.
func TestRecoveryStartsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", recreate)
	dep := w.live("a")
	must(t, w.runtime.Stop(t.Context(), dep.Release.ID))
	left := db.Release{ID: "tf-web-99", WorkloadID: w.workload.ID, Commit: "o", Port: 80}
	must2(t)(w.runtime.Start(t.Context(), left))
	w.deployer.Runtime = w.runtime.With(deploytest.Record(func(point string) {
		if in, _ := w.runtime.Inspect(t.Context(), left.ID); point == "runtime.start:before" && in.State == deploy.Running {
			t.Error("the live release is started while another one runs")
		}
	}))
	w.pass()
	w.serves("a")
}
