//go:build chaos

package docker_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/db/migratedtest"
	"tinyforge/deploy"
	"tinyforge/deploy/docker"
	"tinyforge/deploy/proxy"
	"tinyforge/deploy/swarmtest"
)

// fleet is a Swarm of real nodes, a Tinyforge that deploys to it, and visitors.
type fleet struct {
	*testing.T
	*swarmtest.Cluster
	db       *db.DB
	router   *proxy.Proxy
	swarm    *breaking
	engine   *docker.Engine
	workload db.Workload
	load     *load
	source   *pushed
	pushes   int
	table    *[]outcome
}

// pushed is a source that has the sample's image in the nodes' registry already.
type pushed struct {
	image string
	delay atomic.Int64 // of the start of the next releases
}

func (*pushed) Validate(json.RawMessage) error { return nil }

func (*pushed) Strategy(json.RawMessage) (db.Strategy, string, error) { return db.BlueGreen, "", nil }

func (p *pushed) Build(_ context.Context, in deploy.BuildInput, _ io.Writer) (db.Release, error) {
	env := map[string]string{"VERSION": in.Commit[:4], "STARTUP_DELAY": time.Duration(p.delay.Load()).String()}
	return db.Release{Image: p.image, Runtime: "swarm", Replicas: in.Workload.Replicas(), Port: 8080, Env: env,
		Healthcheck: &db.Healthcheck{Path: "/up", Interval: 250 * time.Millisecond, Timeout: time.Second, Attempts: 80}}, nil
}

// breaking is a Swarm that starts a release that runs so often as one that ends at once.
type breaking struct {
	deploy.Runtime
	breaks atomic.Int64 // 0 means none
}

func (b *breaking) Start(ctx context.Context, r db.Release) (deploy.Instance, error) {
	if int64(r.Replicas) == b.breaks.Load() {
		r.Env = map[string]string{"VERSION": "broken", "EXIT_AFTER": "0s"}
	}
	return b.Runtime.Start(ctx, r)
}

// Scales implements deploy.Scaler.
func (*breaking) Scales(db.Release) bool { return true }

// newFleet forms one that has a release live, which runs three times and is visited.
func newFleet(t *testing.T, router *proxy.Proxy, managers int, table *[]outcome) *fleet {
	f := &fleet{T: t, router: router, table: table, Cluster: swarmtest.StartWith(t, swarmtest.Config{Managers: managers, Heartbeat: time.Second})}
	image, repo := f.equip(5*time.Second, docker.SwarmConfig{Look: 200 * time.Millisecond})
	f.source = &pushed{image: image}
	f.workload = db.Workload{Name: "web", RepositoryID: repo.ID, Source: "pushed", Config: json.RawMessage(`{"runtime":"swarm","replicas":3}`),
		Host: fmt.Sprintf("managers-%d.test", managers), Enabled: true}
	f.must(f.db.SaveWorkload(t.Context(), &f.workload))
	f.work(&deploy.Deployer{
		Sources: map[string]deploy.Source{"pushed": f.source},
		Config:  deploy.Config{Workers: 1, Drain: 3 * time.Second, Reconcile: time.Second, Poll: 200 * time.Millisecond, Workspace: t.TempDir()},
	})
	f.live(f.push())
	f.load = visitAllTheTime(t, router.HTTPAddr().String(), f.workload.Host)
	return f
}

// equip gives the nodes an image, and the fleet an engine on the first one, its Swarm, and a database with a repository.
func (f *fleet) equip(stop time.Duration, times docker.SwarmConfig) (image string, repo db.Repository) {
	f.Helper()
	image, err := f.PushSample(f.Context(), "sample", "one")
	f.must(err)
	name := "tinyforge-test-" + strings.ToLower(rand.Text()[:10])
	f.engine, err = docker.New(docker.Config{Host: f.Nodes[0].Host, Instance: name, Network: name, StopTimeout: stop, Log: f.log()})
	f.must(err)
	f.swarm = &breaking{Runtime: docker.NewSwarm(f.engine, times)}
	keys, err := db.NewKeyring()
	f.must(err)
	f.db, err = db.Open(f.Context(), migratedtest.SQLite(f.T), keys)
	f.must(err)
	f.Cleanup(func() { _ = f.db.Close() })
	forge := db.Forge{Name: "forge", Kind: "github"}
	f.must(f.db.SaveForge(f.Context(), &forge))
	repo = db.Repository{ForgeID: forge.ID, ExternalID: 1, FullName: "acme/web", DefaultBranch: "main"}
	f.must(f.db.SaveRepository(f.Context(), &repo))
	return image, repo
}

func (f *fleet) log() *slog.Logger { return slog.New(slog.NewTextHandler(f.Output(), nil)) }

// work has a runner and a recovery work, on what the fleet has, until the test ends.
func (f *fleet) work(d *deploy.Deployer) {
	d.DB, d.Runtime, d.Router, d.Images, d.Log = f.db, f.swarm, f.router, f.engine, f.log()
	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	runner, recovery := deploy.NewRunner(d, "test"), deploy.NewRecovery(d)
	loops.Go(func() { _ = runner.Run(ctx) })
	loops.Go(func() { _ = recovery.Run(ctx) })
	f.Cleanup(func() { cancel(); loops.Wait() })
}

// push queues a deployment of the next commit.
func (f *fleet) push() db.Deployment {
	f.Helper()
	f.pushes++
	dep, err := f.db.QueueCommit(f.Context(), f.workload.ID, "refs/heads/main", fmt.Sprintf("%04d%036d", f.pushes, 0), "Say hello", "Ann")
	f.must(err)
	return dep
}

// at waits until a deployment is in a phase, or over.
func (f *fleet) at(dep db.Deployment, phase db.Phase) db.Deployment {
	f.Helper()
	await(f.T, fmt.Sprintf("deployment %d is %s", dep.ID, phase), func() bool {
		var err error
		dep, err = f.db.Deployment(f.Context(), dep.ID)
		f.must(err)
		return dep.Phase == phase || dep.Phase.Final()
	})
	return dep
}

// ended waits until a deployment is over.
func (f *fleet) ended(dep db.Deployment) db.Deployment {
	f.Helper()
	return f.at(dep, db.PhaseLive)
}

// live waits until a deployment is, which it must be.
func (f *fleet) live(dep db.Deployment) {
	f.Helper()
	if dep = f.ended(dep); dep.Phase != db.PhaseLive {
		f.Fatalf("deployment %d: %s: %s", dep.ID, dep.Phase, dep.Error)
	}
}

// addrs are where the route leads.
func (f *fleet) addrs() []string {
	f.Helper()
	up, err := f.router.Current(f.Context(), f.workload.Routes()[0])
	f.must(err)
	return up.Addrs()
}

// on is how many of the route's addresses are on a node.
func (f *fleet) on(i int) (n int) {
	for _, addr := range f.addrs() {
		if strings.HasPrefix(addr, f.Nodes[i].IP+":") {
			n++
		}
	}
	return n
}

// since waits until something is so, and returns how long that took.
func (f *fleet) since(begun time.Time, what string, so func() bool) time.Duration {
	f.Helper()
	await(f.T, what, so)
	return time.Since(begun)
}

// whole waits until the route leads to as many replicas as there should be, none of which is on a node that is lost (-1 for none).
func (f *fleet) whole(begun time.Time, lost int) time.Duration {
	f.Helper()
	return f.since(begun, "all replicas are back", func() bool { return len(f.addrs()) == 3 && (lost < 0 || f.on(lost) == 0) })
}

// serves checks that one release is there, which its row names and visitors see.
func (f *fleet) serves() {
	f.Helper()
	state, err := f.db.RuntimeState(f.Context(), f.workload.ID)
	f.must(err)
	await(f.T, "what serves is alone", func() bool {
		list, err := f.swarm.List(f.Context())
		return err == nil && len(list) == 1 && list[0].ID == state.ReleaseID && list[0].State == deploy.Running
	})
	if up, err := f.router.Current(f.Context(), f.workload.Routes()[0]); err != nil || up.Name != string(state.ReleaseID) {
		f.Errorf("the route leads to %q, %v, and the row names %s", up.Name, err, state.ReleaseID)
	}
	if said, wrong := f.load.answer(f.Context(), "GET", "/", ""); wrong != "" || said != state.Commit[:4]+"\n" {
		f.Errorf("the site answers %q, %s, and the row names %s", said, wrong, state.Commit)
	}
}

// note ends a fault: its requests are counted, and none may have failed without an excuse.
func (f *fleet) note(o outcome, begun, done time.Time, postsToo time.Duration) {
	f.Helper()
	if bad := o.judge(f.load.settled(), begun, done, postsToo); len(bad) > 0 {
		f.Errorf("%s: %d requests failed that nothing excuses: %q", o.fault, len(bad), bad[:min(len(bad), 5)])
	}
	*f.table = append(*f.table, o)
	f.Log(o)
}

func (f *fleet) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// run is a subtest of a fleet, whose visitors go on.
func (f *fleet) run(name string, do func(f *fleet)) {
	f.T.Run(name, func(t *testing.T) {
		sub := *f
		sub.T = t
		sub.load.t = t
		sub.load.settled()
		do(&sub)
		f.pushes = sub.pushes
	})
}

// await looks every 20 ms.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline, tick := time.After(90*time.Second), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-deadline:
			t.Fatalf("90 s passed before this: %s", what)
		case <-tick.C:
		}
	}
}
