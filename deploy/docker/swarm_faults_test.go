//go:build chaos

package docker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy/docker"
	"tinyforge/deploy/proxy"
)

// TestNodesFail: what visitors see of nodes that fail under steady load, with the real Swarm, the real proxy and the real deployer. It logs
// a table, a line for each fault.
func TestNodesFail(t *testing.T) {
	t.Parallel()
	var tables [2][]outcome
	t.Cleanup(func() {
		t.Logf("\n%-42s %6s %7s %10s %6s %9s %8s %8s\n%s", "fault", "sent", "failed", "in flight", "posts", "slowest", "left", "back", lines(append(tables[0], tables[1]...)))
	})
	router := runProxy(t)
	for i, managers := range []int{1, 3} {
		t.Run(fmt.Sprint(managers, " managers"), func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, router, managers, &tables[i])
			for _, fault := range faults[managers] {
				f.run(fault.name, fault.of)
			}
		})
	}
}

// fault is one that a fleet outlives. Each leaves the fleet whole.
type fault struct {
	name string
	of   func(*fleet)
}

var faults = map[int][]fault{
	1: {{"cut", cutAndMended}, {"killed", killed}, {"killed in a deploy", killedInDeploy}, {"manager killed", managerKilled}},
	3: {{"drained", drained}, {"another manager killed", anotherManagerKilled}, {"no image", noImage}, {"taken back", takenBack}},
}

func lines(all []outcome) string {
	var text strings.Builder
	for _, o := range all {
		fmt.Fprintln(&text, o)
	}
	return text.String()
}

func runProxy(t *testing.T) *proxy.Proxy {
	t.Helper()
	p, err := proxy.New(proxy.Config{HTTP: "127.0.0.1:0", DataDir: t.TempDir()}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() { failed <- p.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	select {
	case <-p.Ready():
	case err := <-failed:
		t.Fatal(err)
	}
	return p
}

func drained(f *fleet) {
	f.whole(time.Now(), -1)
	node := f.worker()
	begun := time.Now()
	f.must(f.Drain(f.Context(), node))
	done := time.Now()
	o := outcome{fault: "a node is drained"}
	o.left = f.since(begun, "the route left", func() bool { return f.on(node) == 0 })
	o.back = f.whole(begun, node)
	f.note(o, begun, done, 0)
	f.must(f.Activate(f.Context(), node))
	f.respread()
}

// worker is a node that runs a replica and is no manager that the Tinyforge speaks to.
func (f *fleet) worker() int {
	f.Helper()
	for i := range f.Nodes {
		if i > 0 && f.on(i) > 0 {
			return i
		}
	}
	f.Fatalf("only the first node runs any: %q", f.addrs())
	return 0
}

// respread deploys again, so that each node has a replica again.
func (f *fleet) respread() {
	f.Helper()
	f.live(f.push())
	f.serves()
	f.note(outcome{fault: "  (and a deployment after that)"}, time.Time{}, time.Time{}, 0)
}

func killed(f *fleet) {
	node := f.worker()
	begun := time.Now()
	f.must(f.Kill(node))
	done := time.Now()
	o := outcome{fault: "a node is killed"}
	o.left = f.since(begun, "the route left", func() bool { return f.on(node) == 0 })
	o.back = f.whole(begun, node)
	f.note(o, begun, done, 0)
	f.must(f.Restart(f.Context(), node))
	f.must(f.AwaitReady(f.Context(), node))
	f.respread()
}

// connectionsKept is for how long the proxy keeps idle connections, and a little more.
const connectionsKept = 2 * time.Second

func cutAndMended(f *fleet) {
	node := f.worker()
	begun := time.Now()
	f.must(f.Cut(f.Context(), node))
	done := time.Now()
	o := outcome{fault: "a node's link is cut", note: "posts: sent on a connection from before, and not to be sent twice"}
	o.left = f.since(begun, "the route left", func() bool { return f.on(node) == 0 })
	o.back = f.whole(begun, node)
	f.note(o, begun, done, connectionsKept)
	if slowest := (*f.table)[len(*f.table)-1].slowest; slowest > 20*time.Second {
		f.Errorf("somebody waited for %s for an answer of a node that is gone", slowest)
	}
	begun = time.Now()
	f.must(f.Mend(f.Context(), node))
	f.must(f.AwaitReady(f.Context(), node))
	f.serves()
	f.note(outcome{fault: "  (and mended)", back: time.Since(begun)}, time.Time{}, time.Time{}, 0)
	f.respread()
}

func killedInDeploy(f *fleet) {
	node := f.worker()
	f.source.delay.Store(int64(time.Second))
	dep := f.at(f.push(), db.PhaseGating)
	begun := time.Now()
	f.must(f.Kill(node))
	done := time.Now()
	dep = f.ended(dep)
	f.source.delay.Store(0)
	o := outcome{fault: "a node is killed in the middle of a deploy", note: said(dep)}
	o.left = f.since(begun, "the route left", func() bool { return f.on(node) == 0 })
	o.back = f.whole(begun, node)
	f.judgeDeployment(dep)
	f.note(o, begun, done, 0)
	f.must(f.Restart(f.Context(), node))
	f.must(f.AwaitReady(f.Context(), node))
	f.respread()
}

// said is how a deployment ended.
func said(dep db.Deployment) string { return strings.TrimSpace(string(dep.Phase) + " " + dep.Error) }

// judgeDeployment: one that says live is what serves, and one that failed says why and has left what served before.
func (f *fleet) judgeDeployment(dep db.Deployment) {
	f.Helper()
	state, err := f.db.RuntimeState(f.Context(), f.workload.ID)
	f.must(err)
	live := state.DeploymentID == dep.ID
	if live != (dep.Phase == db.PhaseLive) || !live && (dep.Phase != db.PhaseFailed || dep.Error == "" || strings.Contains(dep.Error, "Internal error")) {
		f.Errorf("deployment %d is %q, and deployment %d serves", dep.ID, said(dep), state.DeploymentID)
	}
	f.serves()
}

// takenBack: more replicas are asked for, of something that ends at once.
func takenBack(f *fleet) {
	f.swarm.breaks.Store(4)
	f.workload.Config = json.RawMessage(`{"runtime":"swarm","replicas":4}`)
	f.must(f.db.SaveWorkload(f.Context(), &f.workload))
	dep, err := f.db.QueueScale(f.Context(), f.workload.ID)
	f.must(err)
	dep = f.ended(dep)
	f.swarm.breaks.Store(0)
	if dep.Phase != db.PhaseFailed || !strings.Contains(dep.Error, "Swarm took the change back") || !strings.Contains(dep.Error, "non-zero exit (1)") {
		f.Errorf("a change that Swarm takes back ends in %q", said(dep))
	}
	f.judgeDeployment(dep)
	f.whole(time.Now(), -1)
	f.note(outcome{fault: "Swarm takes an update back", note: said(dep)}, time.Time{}, time.Time{}, 0)
	f.workload.Config = json.RawMessage(`{"runtime":"swarm","replicas":3}`)
	f.must(f.db.SaveWorkload(f.Context(), &f.workload))
}

// managerKilled: of one manager, in the middle of a deployment. The others' tasks go on.
func managerKilled(f *fleet) {
	f.source.delay.Store(int64(3 * time.Second))
	first := f.at(f.push(), db.PhaseGating)
	begun := time.Now()
	f.must(f.Kill(0))
	done := time.Now()
	f.source.delay.Store(0)
	first = f.ended(first)
	second := f.ended(f.push())
	if second.Phase != db.PhaseFailed || !strings.Contains(second.Error, "Docker") {
		f.Errorf("without a manager a deployment ends in %q", said(second))
	}
	o := outcome{fault: "the only manager is killed in a deploy", note: said(first) + "; meanwhile another one: " + said(second)}
	f.note(o, begun, done, 0)
	begun = time.Now()
	f.must(f.Restart(f.Context(), 0))
	f.must(f.AwaitReady(f.Context(), 0))
	for i := range f.Nodes {
		f.must(f.AwaitReady(f.Context(), i))
	}
	o = outcome{fault: "  (and is back)", back: f.whole(begun, -1)}
	f.judgeDeployment(first)
	f.judgeDeployment(second) // its recovery has looked at the Swarm since
	f.whole(begun, -1)
	f.note(o, time.Time{}, time.Time{}, 0)
	f.startedByAnother()
	f.respread()
}

// startedByAnother: a Tinyforge that was started anew too has never heard where the tasks answer that ran meanwhile.
func (f *fleet) startedByAnother() {
	f.Helper()
	state, err := f.db.RuntimeState(f.Context(), f.workload.ID)
	f.must(err)
	in, err := docker.NewSwarm(f.engine, docker.SwarmConfig{}).Start(f.Context(), state.Release)
	if err != nil || in.Upstream.Addr != strings.Join(f.addrs(), ",") || in.Elsewhere != "" {
		f.Errorf("to another one it answers at %q, and at %q it did, %v", in.Upstream.Addr, f.addrs(), err)
	}
	f.whole(time.Now(), -1)
	f.note(outcome{fault: "  (and Tinyforge with it)", note: in.Upstream.Addr}, time.Time{}, time.Time{}, 0)
}

// anotherManagerKilled: of three managers, one that the Tinyforge does not speak to.
func anotherManagerKilled(f *fleet) {
	begun := time.Now()
	f.must(f.Kill(2))
	done := time.Now()
	dep := f.ended(f.push())
	o := outcome{fault: "one of three managers is killed, then a deploy", note: said(dep)}
	if dep.Phase != db.PhaseLive {
		f.Errorf("with two managers of three a deployment ends in %q", said(dep))
	}
	o.left = f.since(begun, "the route left", func() bool { return f.on(2) == 0 })
	o.back = f.whole(begun, 2)
	f.judgeDeployment(dep)
	f.note(o, begun, done, 0)
	f.must(f.Restart(f.Context(), 2))
	f.must(f.AwaitReady(f.Context(), 2))
	f.respread()
}

// noImage: one node has not the image and does not reach the registry.
func noImage(f *fleet) {
	image, err := f.PushSample(f.Context(), "sample", "two")
	f.must(err)
	f.source.image = image
	block := func(verb string) { // the way back to visitors stays
		words := append(f.Nodes[2].Within(), "iptables", verb, "OUTPUT", "-p", "tcp", "--dport", registryPort(f), "-j", "REJECT")
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			f.Fatalf("iptables %s: %v: %s", verb, err, out)
		}
	}
	block("-I")
	begun := time.Now()
	dep := f.ended(f.push())
	block("-D")
	if dep.Phase != db.PhaseLive && !strings.Contains(dep.Error, f.Nodes[2].Name) {
		f.Errorf("where one node has no image a deployment ends in %q", said(dep))
	}
	f.judgeDeployment(dep)
	f.note(outcome{fault: "one node cannot pull the image", back: time.Since(begun), note: said(dep)}, time.Time{}, time.Time{}, 0)
}

func registryPort(f *fleet) string { return f.Registry[strings.LastIndex(f.Registry, ":")+1:] }
