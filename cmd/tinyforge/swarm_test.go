package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"tinyforge/db"
)

// What a workload of the stories on three nodes is configured with.
const (
	onOne     = "{deploy_strategy: blue-green, healthcheck: {path: /up, interval: 200ms, attempts: 8}}"
	onNodes   = "{runtime: swarm, replicas: 3, deploy_strategy: %s, healthcheck: {path: /up, interval: 200ms, timeout: 500ms, attempts: 8}}"
	elsewhere = "{%s, runtime: swarm, replicas: 3, deploy_strategy: blue-green}"
)

// TestOnASwarm is the main job on three nodes, the first of which Tinyforge, its proxy and its registry run on, with visitors from
// outside all the time, none of whom may notice: the way up from one machine and back, pushes, a bad one, rollbacks, a kill, the
// other strategy, more of what is live and less, and the other sources. It logs the table that is in the README.
func TestOnASwarm(t *testing.T) {
	t.Parallel()
	o := newOnSwarm(t, "TINYFORGE_SITE_PROGRAM="+siteProgram(t))
	o.configure(onOne)
	o.clone.ends(o.version("v1"), "success")
	o.answers("v1")
	o.runs(db.RuntimeDocker, 1)
	o.moved()
	o.pushed()
	o.killed()
	o.closed()
	o.story("a push, recreate: requests wait", func() {
		o.configure(fmt.Sprintf(onNodes, "recreate"))
		o.clone.ends(o.version("v7"), "success")
		o.answers("v7")
	})
	o.runs(swarm, 3)
	o.story("from 3 replicas to 5, and to 2", func() {
		o.scale("5")
		o.runs(swarm, 5)
		o.scale("2")
		o.runs(swarm, 2)
	})
	o.others()
	o.printTable()
}

// moved goes from one machine to the Swarm, and back, and again, by rollback.
func (o *onSwarm) moved() {
	o.Helper()
	o.story("a workload moves from one machine to the Swarm", func() {
		o.configure(fmt.Sprintf(onNodes, "blue-green"))
		o.clone.ends(o.version("v2"), "success")
		o.answers("v2")
	})
	o.pulled(o.runs(swarm, 3))
	o.story("a rollback: it moves back", func() {
		o.ask("rollback", o.name)
		o.answers("v1")
	})
	o.runs(db.RuntimeDocker, 1)
	o.story("another: to the Swarm again", func() {
		o.ask("rollback", o.name)
		o.answers("v2")
	})
	o.runs(swarm, 3)
}

func (o *onSwarm) pushed() {
	o.Helper()
	o.story("a push, blue-green, 3 replicas", func() {
		o.clone.ends(o.version("v3"), "success")
		o.answers("v3")
	})
	o.runs(swarm, 3)
	o.story("a push that never gets ready: failure, the one before serves", func() {
		o.clone.ends(o.version("v4", "UNHEALTHY=1"), "failure", "answered 500")
		o.answers("v3")
	})
	o.runs(swarm, 3)
	o.story("a rollback on the Swarm", func() {
		o.ask("rollback", o.name)
		o.answers("v2")
	})
	o.runs(swarm, 3)
}

// killed: the proxy is a process of its own, and goes on.
func (o *onSwarm) killed() {
	o.Helper()
	before := o.runs(swarm, 3)
	o.story("serve is killed in the middle of a push, which ends live", func() {
		reached := in(db.PhaseGating)(&o.scene)
		commit := o.version("v5", "UP_AFTER=2s")
		reached()
		o.process.kill()
		o.start()
		o.clone.ends(commit, "success")
		o.answers("v5")
	})
	if state := o.runs(swarm, 3); state.ReleaseID == before.ReleaseID {
		o.Errorf("%s is live still", state.ReleaseID)
	}
}

// closed: a firewall keeps the other machines from what a node runs. Whoever pushed reads where nobody was reached.
func (o *onSwarm) closed() {
	o.Helper()
	node := o.cluster.Nodes[2]
	firewall := func(verb string) {
		o.Helper()
		words := append(node.Within(), "iptables", verb, "DOCKER-USER", "-i", "eth0", "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP")
		if out, err := exec.CommandContext(o.Context(), words[0], words[1:]...).CombinedOutput(); err != nil {
			o.Fatalf("iptables %s: %v: %s", verb, err, out)
		}
	}
	o.configure(strings.NewReplacer("500ms", "100ms", "attempts: 8", "attempts: 2").Replace(fmt.Sprintf(onNodes, "blue-green")))
	o.story("a push while a node's ports are closed: failure, the one before serves", func() {
		firewall("-I")
		o.clone.ends(o.version("v6"), "failure", "could not connect to "+node.IP+":", "the previous release still serves")
		o.answers("v5")
		firewall("-D")
	})
	o.runs(swarm, 3)
}

// others are the sources that build nothing, or no program.
func (o *onSwarm) others() {
	o.Helper()
	site := o.beside("static", fmt.Sprintf(elsewhere, "root: public"))
	image := o.beside("image", fmt.Sprintf(elsewhere, "image: '"+o.cluster.Registry+"/team/web:{{.ShortCommit}}', healthcheck: {path: /up, interval: 200ms}"))
	images := imagesAt(o.T, o.cluster.PushAt(), authn.Anonymous)
	push := func(text, version string) {
		ofSite := site.clone.pushAll(map[string]string{"public/index.html": text})
		ofImage := image.clone.commit("version", version)
		images.publish("team/web:"+ofImage[:7], "VERSION="+version)
		image.clone.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
		site.clone.ends(ofSite, "success")
		site.answers(text)
		image.clone.ends(ofImage, "success")
		image.answers(version)
	}
	push("s1", "i1")
	site.visited("a static site, pushed again", readers(), func() {
		image.story("an image of a registry, pushed again", func() { push("s2", "i2") })
	})
	site.pulled(site.runs(swarm, 3))
	image.pulled(image.runs(swarm, 3))
	o.table = append(o.table, append(site.table, image.table...)...)
}

// story is what happens while visitors come, none of whom may notice.
func (o *onSwarm) story(name string, happens func()) {
	o.Helper()
	o.visited(name, everybody(false), happens)
}

func (o *onSwarm) visited(name string, by []visitor, happens func()) {
	o.Helper()
	began := time.Now()
	visitors := startLoad(o.T, o.site, o.name+".test", by...)
	happens()
	visitors.stop()
	o.table = append(o.table, fmt.Sprintf("| %s | %d | %d | %.1f |", name, visitors.sent, len(visitors.faults), time.Since(began).Seconds()))
}

func (o *onSwarm) printTable() {
	o.Helper()
	o.Logf("on three nodes:\n\n| what happens | requests | failed | seconds |\n|---|---|---|---|\n%s", strings.Join(o.table, "\n"))
}
