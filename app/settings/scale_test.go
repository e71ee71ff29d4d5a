package settings_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"tinyforge/app/settings"
	"tinyforge/db"
)

// spreadShop is a shop of which a release serves on the Swarm, twice.
func spreadShop(t *testing.T) *shop {
	t.Helper()
	return spread(newShop(newWorld(t)))
}

func spread(s *shop) *shop {
	s.configured(`{"env":{"B":"s3cret","A":"<1>"},"runtime":"swarm","replicas":2,"memory":"64MB"}`)
	s.push("A", "First")
	s.finishOn("swarm", 2, s.claim())
	return s
}

// configured saves another config.
func (s *shop) configured(config string) {
	s.t.Helper()
	w := s.saved("shop")
	w.Config = json.RawMessage(config)
	must(s.t, s.db.ChangeWorkload(s.t.Context(), &w))
}

func TestScale(t *testing.T) {
	s := spreadShop(t)
	b := s.owner()
	p := b.get("/workloads/shop")
	p.is(t, http.StatusOK, "2 times on the Swarm", `action="/workloads/shop/scale"`, `name="replicas" type="text" value="2"`)
	for typed, says := range map[string]string{"": "whole number from 1 to 1000", "0": "whole number from 1 to 1000", "1001": "whole number from 1 to 1000", "2.5": "whole number", "<b>": "&lt;b&gt;"} {
		b.post("/workloads/shop/scale", "replicas", typed).is(t, http.StatusUnprocessableEntity, says, `href="#f-replicas"`, `id="f-replicas"`)
	}
	if dep := s.newest(s.workload); dep.ID != 1 {
		t.Fatalf("deployment %d was queued", dep.ID)
	}
	before := s.saved("shop")
	b.post("/workloads/shop/scale", "replicas", " 3 ").leads(t, s.path(2))
	s.hasConfig(`{"env":{"B":"s3cret","A":"<1>"},"runtime":"swarm","replicas":3,"memory":"64MB"}`)
	after := s.saved("shop")
	if after.Host != before.Host || after.RefPattern != before.RefPattern || after.Enabled != before.Enabled || after.Source != before.Source {
		t.Errorf("more than the number changed: %+v", after)
	}
	if dep := s.newest(s.workload); dep.Cause != db.CauseScale || dep.Phase != db.PhaseQueued || dep.Commit != hash("A") {
		t.Errorf("queued %+v", dep)
	}
	b.get(s.path(2)).is(t, http.StatusOK, "Scaling to 3.", "scaled", "the commit is as it was: nothing is reported")
	s.audited("workload.saved", "replicas")
	s.audited("deployment.scaled", "2")

	b.get("/workloads/shop").is(t, http.StatusOK, "Settings changed since deployment 1: Replicas", "2 times on the Swarm") // it is only queued
	dep := s.claim()
	s.finishOn("swarm", 3, dep)
	p = b.get("/workloads/shop")
	p.is(t, http.StatusOK, "3 times on the Swarm", "In place", "scaled")
	b.get(s.path(2)).is(t, http.StatusOK, "In place", "Readiness check")
	b.get("/workloads/shop/deployments").is(t, http.StatusOK, "scaled")
	b.post("/language", "language", "ru", "back", "/workloads/shop")
	b.get("/workloads/shop").is(t, http.StatusOK, "<dt>Копий в Swarm</dt><dd>3</dd>", "Число копий", "На месте")
	b.get(s.path(2)).is(t, http.StatusOK, "число копий", "коммит остался прежним")
}

// TestScaledIsNotChanged: what was scaled in place says the number that its config had when it was built, which is no change to deploy.
func TestScaledIsNotChanged(t *testing.T) {
	s := spreadShop(t)
	b := s.owner()
	state, err := s.db.RuntimeState(t.Context(), s.workload.ID)
	must(t, err)
	runs := func(replicas int) {
		b.post("/workloads/shop/scale", "replicas", "1")
		dep := s.claim()
		dep.Release, dep.Strategy = &state.Release, db.Scale
		dep.Release.Replicas = replicas
		s.through(dep, db.PhaseCommitting)
		dep.Phase = db.PhaseReaping
		must(t, s.db.Commit(t.Context(), dep, db.RuntimeState{WorkloadID: dep.WorkloadID, DeploymentID: dep.ID, ReleaseID: state.ReleaseID, Commit: dep.Commit, Release: *dep.Release}))
		s.through(dep, db.PhaseLive)
	}
	runs(1)
	if p := b.get("/workloads/shop"); p.says("Settings changed") || !p.says("1 time on the Swarm") {
		t.Error("what was scaled is shown as a change to deploy")
	}
	s.configured(`{"env":{"B":"s3cret","A":"<1>"},"runtime":"swarm","memory":"64MB"}`) // which is once
	if p := b.get("/workloads/shop"); p.says("Settings changed") {
		t.Error("no number is 1")
	}
	s.configured(`{"env":{"B":"s3cret","A":"<1>"},"runtime":"swarm","replicas":2,"memory":"64MB"}`) // which it was built with
	b.get("/workloads/shop").is(t, http.StatusOK, "Settings changed", "Replicas")
}

func TestScaleRefuses(t *testing.T) {
	s := newShop(newWorld(t))
	b := s.owner()
	b.post("/workloads/shop/scale", "replicas", "3").is(t, http.StatusUnprocessableEntity, "needs the runtime swarm")
	s.configured(`{"runtime":"swarm"}`)
	b.post("/workloads/shop/scale", "replicas", "3").is(t, http.StatusConflict, "Nothing of it is live")
	s.configured(`{}`)
	s.live("A", "First")
	if p := b.get("/workloads/shop"); p.says("/scale") || p.says("on the Swarm") {
		t.Error("what runs once is offered to be scaled")
	}
	s.configured(`{"runtime":"swarm"}`)
	b.post("/workloads/shop/scale", "replicas", "3").is(t, http.StatusConflict, "take effect with the next deployment")
	s.hasConfig(`{"runtime":"swarm"}`)
	s.configured(`{"runtime":"swarm","volumes":[{"name":"a","path":"/a"}]}`)
	b.post("/workloads/shop/scale", "replicas", "3").is(t, http.StatusUnprocessableEntity, "volumes", "would be written to by several")
	b.post("/workloads/none/scale", "replicas", "3").is(t, http.StatusNotFound)
	if dep := s.newest(s.workload); dep.ID != 1 {
		t.Errorf("deployment %d was queued", dep.ID)
	}
}

// TestScaleRefusesWhatWrites: its volume is for one at a time, though the settings have none by now.
func TestScaleRefusesWhatWrites(t *testing.T) {
	s := newShop(newWorld(t))
	b := s.owner()
	s.configured(`{"runtime":"swarm"}`)
	s.push("A", "First")
	s.finishOn("swarm", 1, s.claim(), db.Volume{Name: "data", Path: "/data"})
	if p := b.get("/workloads/shop"); p.says("/scale") {
		t.Error("what writes to a volume is offered to be scaled")
	}
	b.post("/workloads/shop/scale", "replicas", "3").is(t, http.StatusConflict, "or writes to a volume")
	s.hasConfig(`{"runtime":"swarm"}`)
}

// TestScaleWaits: a deployment that waits takes the number along, so none takes its place.
func TestScaleWaits(t *testing.T) {
	s := spreadShop(t)
	b := s.owner()
	push := s.push("B", "Second")
	b.post("/workloads/shop/scale", "replicas", "5").leads(t, s.path(push.ID))
	b.get(s.path(push.ID)).is(t, http.StatusOK, "Deployment 2 waits already and goes first")
	s.hasConfig(`{"env":{"B":"s3cret","A":"<1>"},"runtime":"swarm","replicas":5,"memory":"64MB"}`)
	if dep := s.newest(s.workload); dep.ID != push.ID || dep.Phase != db.PhaseQueued {
		t.Errorf("the newest is %+v", dep)
	}
}

// TestScaleIsBounded: a deployer gets no more replicas than the server allows, or an administrator gave the workload.
func TestScaleIsBounded(t *testing.T) {
	s := spread(newShop(newWorldOf(t, func(c *settings.Config) { c.MaxReplicas = 4 })))
	b, deployer := s.owner(), s.script(db.Deployer)
	const path = "/api/v1/workloads/shop/scale"
	for _, n := range []string{"5", "100000", "9223372036854775807"} {
		b.post("/workloads/shop/scale", "replicas", n).is(t, http.StatusUnprocessableEntity, "whole number from 1 to 4")
		if got := deployer.call(http.MethodPost, path, `{"replicas": `+n+`}`, 422); !strings.Contains(got, "replicas must be 4 or less") {
			t.Errorf("%s: %s", n, got)
		}
	}
	if dep := s.newest(s.workload); dep.ID != 1 {
		t.Errorf("deployment %d was queued", dep.ID)
	}
	s.configured(`{"runtime":"swarm","replicas":9}`)
	deployer.call(http.MethodPost, path, `{"replicas": 10}`, 422)
	deployer.call(http.MethodPost, path, `{"replicas": 8}`, 202)
}

func TestAPIScales(t *testing.T) {
	s := spreadShop(t)
	viewer, deployer := s.script(db.Viewer), s.script(db.Deployer)
	const path = "/api/v1/workloads/shop/scale"
	viewer.call(http.MethodPost, path, `{"replicas": 3}`, 403)
	for body, says := range map[string]string{
		"": "say how often", `{}`: "say how often", `{"replicas": 0}`: "replicas must be 1 or more", `{"replicas": -1}`: "replicas must be 1 or more",
	} {
		if got := deployer.call(http.MethodPost, path, body, 422); !strings.Contains(got, says) {
			t.Errorf("%s: %s", body, got)
		}
	}
	for body, says := range map[string]string{`{"replicas": "3"}`: "replicas: a whole number is wanted", `[]`: "the body: an object is wanted"} {
		if got := deployer.call(http.MethodPost, path, body, 400); !strings.Contains(got, says) {
			t.Errorf("%s: %s", body, got)
		}
	}
	deployer.call(http.MethodPost, path, `{"times": 3}`, 400)
	deployer.call(http.MethodPost, "/api/v1/workloads/none/scale", `{"replicas": 3}`, 404)
	s.hasConfig(`{"env":{"B":"s3cret","A":"<1>"},"runtime":"swarm","replicas":2,"memory":"64MB"}`)
	if got := deployer.call(http.MethodPost, path, `{"replicas": 3}`, 202); !strings.Contains(got, `"cause":"scale"`) || !strings.Contains(got, `"id":2,`) {
		t.Errorf("scale: %s", got)
	}
	s.hasConfig(`{"env":{"B":"s3cret","A":"<1>"},"runtime":"swarm","replicas":3,"memory":"64MB"}`)
	s.audited("workload.saved", "replicas")
	s.audited("deployment.scaled", "2")
	s.finishOn("swarm", 3, s.claim())
	s.configured(`{"runtime":"docker"}`)
	if got := deployer.call(http.MethodGet, "/api/v1/workloads/shop", "", 200); !strings.Contains(got, `"runtime":"docker","replicas":1,`) || !strings.Contains(got, `"runtime":"swarm","replicas":3}`) {
		t.Errorf("the workload is %s", got)
	}
	if got := deployer.call(http.MethodPost, path, `{"replicas": 3}`, 422); !strings.Contains(got, "replicas needs the runtime swarm") {
		t.Errorf("another runtime: %s", got)
	}
	s.configured(`{"runtime":"swarm"}`)
	s.push("B", "Second")
	s.finish(s.claim())
	if got := deployer.call(http.MethodPost, path, `{"replicas": 3}`, 409); !strings.Contains(got, "can run only once, on one Docker") {
		t.Errorf("what runs once: %s", got)
	}
}
