package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tinyforge/app/forgetest"
	"tinyforge/db"
	"tinyforge/deploy/deploytest"
	"tinyforge/deploy/docker"
	"tinyforge/deploy/swarmtest"
)

// onSwarm is a service whose Docker is the manager of a Swarm of three nodes, with a repository that needs no other image.
type onSwarm struct {
	*service
	*clone
	web     string
	cluster *swarmtest.Cluster
	table   []string
}

func newOnSwarm(t *testing.T) *onSwarm {
	t.Helper()
	cluster := swarmtest.StartWith(t, swarmtest.Config{Nodes: 3, Heartbeat: time.Second})
	s := newService(t, "TINYFORGE_DOCKER_HOST="+cluster.Nodes[0].Host, "TINYFORGE_REGISTRY="+cluster.Registry+"/apps")
	forge := newForge(t, forgetest.Options{Kind: forgetest.GitHub})
	o := &onSwarm{service: s, clone: newClone(t, forge, "acme/site"), web: unique("web"), cluster: cluster}
	program, err := os.ReadFile(filepath.Join(deploytest.SampleCheckout(t), "sampleapp"))
	s.must(err)
	o.commit("sampleapp", string(program))
	return o
}

// version pushes a version of the site that stands on nothing but the program.
func (o *onSwarm) version(version string, env ...string) (commit string) {
	o.service.Helper()
	text := "FROM scratch\nCOPY --chmod=0755 sampleapp /sampleapp\nENTRYPOINT [\"/sampleapp\"]\nENV VERSION=" + version + "\n"
	for _, variable := range env {
		text += "ENV " + variable + "\n"
	}
	return o.push("Dockerfile", text)
}

func (o *onSwarm) configure(config string) {
	o.service.Helper()
	o.apply(o.forge, manifestOf(o.web, "dockerfile", config))
}

// story is what happens while visitors come, none of whom may notice.
func (o *onSwarm) story(name string, happens func()) {
	o.service.Helper()
	began := time.Now()
	visitors := newLoad(o.service.T, o.site, o.web+".test")
	happens()
	visitors.stop()
	o.table = append(o.table, fmt.Sprintf("| %s | %d | %d | %.1f |", name, visitors.sent, len(visitors.faults), time.Since(began).Seconds()))
}

// answers waits until the workload has come to rest, and checks what it answers then.
func (o *onSwarm) answers(version string) {
	o.service.Helper()
	o.await("the workload has come to rest", func() bool { return o.deployments(o.web)[0].Phase.Final() })
	if code, body := o.get(o.site+"/", o.web+".test"); code != http.StatusOK || strings.TrimSpace(body) != version {
		o.service.Errorf("the site answers %d %q, want %s", code, body, version)
	}
}

// runs checks how often the live release runs, and that it is the only one.
func (o *onSwarm) runs(replicas int) db.RuntimeState {
	o.service.Helper()
	w, err := o.store.WorkloadByName(o.service.Context(), o.web)
	o.must(err)
	state, err := o.store.RuntimeState(o.service.Context(), w.ID)
	o.must(err)
	engine, err := docker.New(docker.Config{Host: o.cluster.Nodes[0].Host, Instance: o.instance, Network: o.network})
	o.must(err)
	o.service.Cleanup(func() { _ = engine.Close() })
	o.await("only what is live runs", func() bool {
		list, err := docker.NewSwarm(engine, docker.SwarmConfig{}).List(o.service.Context())
		o.must(err)
		return len(list) == 1 && list[0].ID == state.ReleaseID && len(list[0].Upstream.Addrs()) == replicas
	})
	return state
}

const swarmed = "{runtime: swarm, replicas: 3, deploy_strategy: %s, healthcheck: {path: /up, interval: 200ms, attempts: 8}}"

// TestOnASwarm is the main job on three nodes, with visitors from outside all the time: a push, a bad one, one in which Tinyforge is
// killed, the other strategy, and more of what is live and less.
func TestOnASwarm(t *testing.T) {
	t.Parallel()
	o := newOnSwarm(t)
	o.configure(fmt.Sprintf(swarmed, "blue-green"))
	o.ends(o.version("v1"), "success")
	o.answers("v1")
	if state := o.runs(3); !strings.HasPrefix(state.Release.Image, o.cluster.Registry+"/apps/"+o.web+"@sha256:") {
		t.Errorf("the nodes pull %s", state.Release.Image)
	}
	o.story("blue-green", func() {
		o.ends(o.version("v2"), "success")
		o.answers("v2")
	})
	o.runs(3)
	o.story("a push that never gets ready", func() {
		o.ends(o.version("v3", "UNHEALTHY=1"), "failure", "answered 500")
		o.answers("v2")
	})
	o.runs(3)
	o.story("recreate", func() {
		o.configure(fmt.Sprintf(swarmed, "recreate"))
		o.ends(o.version("v4"), "success")
		o.answers("v4")
	})
	o.runs(3)
	o.story("from 3 to 5", func() {
		o.scale("5")
		o.runs(5)
	})
	var before db.RuntimeState
	o.story("from 5 to 2", func() {
		o.scale("2")
		before = o.runs(2)
	})
	killed := o.version("v5", "UP_AFTER=2s")
	o.await("it is at its gate", func() bool { return o.deployments(o.web)[0].Phase == db.PhaseGating })
	o.process.kill()
	o.start()
	o.ends(killed, "success")
	o.answers("v5")
	if state := o.runs(2); state.ReleaseID == before.ReleaseID {
		t.Errorf("%s is live still", state.ReleaseID)
	}
	t.Logf("on three nodes:\n| story | requests | failed | seconds |\n|---|---|---|---|\n%s", strings.Join(o.table, "\n"))
}

// scale asks for it as a person does, and waits for its end.
func (o *onSwarm) scale(replicas string) {
	o.service.Helper()
	var out strings.Builder
	if err := run(o.service.Context(), []string{"scale", o.web, replicas}, o.env, &out, &out); err != nil {
		o.service.Fatalf("scale: %v\n%s", err, out.String())
	}
	o.await("it is scaled", func() bool { return o.deployments(o.web)[0].Phase.Final() })
	if dep := o.deployments(o.web)[0]; dep.Phase != db.PhaseLive || dep.Strategy != db.Scale {
		o.service.Errorf("scaling to %s is %s: %s", replicas, dep.Phase, dep.Error)
	}
}
