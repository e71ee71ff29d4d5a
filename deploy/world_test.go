package deploy_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/db/migratedtest"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
	"tinyforge/deploy/source"
)

func TestMain(m *testing.M) { os.Exit(deploytest.RunMany(m)) }

const host = "www.example.com"

// world is a deployer between a real database and the fakes. A process in it can be killed and started again.
type world struct {
	t        *testing.T
	address  string
	keys     *db.Keyring
	db       *db.DB
	runtime  *deploytest.Runtime
	router   *deploytest.Router
	deployer *deploy.Deployer
	repo     db.Repository
	workload db.Workload
	builds   *builds
	disk     *deploytest.Disk
	pushes   int
}

// builds are the images that the sources of a world made, and how they fail.
type builds struct {
	mu    sync.Mutex
	specs []deploy.BuildSpec
	pulls []string
	auths []*deploy.RegistryAuth
	err   error
	begun chan struct{} // is told of every build; nil means not
	wait  chan struct{} // builds wait until it is closed; nil means not

	digest string // of what is pulled; "" means one
}

func (b *builds) Build(ctx context.Context, spec deploy.BuildSpec, log io.Writer) (string, error) {
	b.mu.Lock()
	b.specs = append(b.specs, spec)
	err, begun, wait := b.err, b.begun, b.wait
	b.mu.Unlock()
	if begun != nil {
		begun <- struct{}{}
	}
	fmt.Fprintf(log, "step 1\nstep 2\x1b[2J of %s", spec.Tag)
	if wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return "sha256:" + strings.Repeat("ab", 32), err
}

func (b *builds) Pull(_ context.Context, spec deploy.PullSpec, _ io.Writer) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pulls, b.auths = append(b.pulls, spec.Ref), append(b.auths, spec.Auth)
	return spec.Ref + "@sha256:" + cmp.Or(b.digest, strings.Repeat("cd", 32)), b.err
}

func (b *builds) CheckAllow(string) error { return nil }

// Load makes a stack of two services without reading anything.
func (b *builds) Load(_ context.Context, in deploy.StackInput, _ io.Writer) (deploy.LoadedStack, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	stack := db.ComposeStack{Project: json.RawMessage(`{}`), Service: "web", Images: []string{"web@" + string(in.ID), "db"}}
	return deploy.LoadedStack{Stack: stack, Port: 8080}, b.err
}

// checkout fetches a folder with a Dockerfile for every commit. Its point is "fetch".
type checkout struct {
	err  error
	hook deploytest.Hook
}

func (c checkout) Fetch(_ context.Context, _ db.Repository, _, dir string) (db.CommitText, error) {
	said := db.CommitText{Message: "Say hello", Author: "Ann"}
	if c.err != nil {
		return said, c.err
	}
	return said, c.hook.Call("fetch", func() error {
		return os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\n"), 0o600)
	})
}

func newWorld(t *testing.T, sourceKind, config string) *world {
	t.Helper()
	return newWorldIn(t, migratedtest.SQLite(t), sourceKind, config)
}

// newWorldIn is newWorld in a database without rows.
func newWorldIn(t *testing.T, address, sourceKind, config string) *world {
	t.Helper()
	keys, err := db.NewKeyring()
	must(t, err)
	w := &world{t: t, address: address, keys: keys, builds: &builds{}, disk: deploytest.NewDisk(100 << 30)}
	w.runtime = deploytest.NewRuntime(t, w.app)
	w.start(nil)
	forge := db.Forge{Name: "forge", Kind: "github"}
	must(t, w.db.SaveForge(t.Context(), &forge))
	w.repo = db.Repository{ForgeID: forge.ID, ExternalID: 1, FullName: "acme/web", DefaultBranch: "main"}
	must(t, w.db.SaveRepository(t.Context(), &w.repo))
	w.workload = db.Workload{Name: "web", RepositoryID: w.repo.ID, Source: sourceKind, Config: json.RawMessage(config),
		Host: host, Enabled: true}
	must(t, w.db.SaveWorkload(t.Context(), &w.workload))
	return w
}

// mostReplicas is as often as no release can run here.
const mostReplicas = 9

// app is what a release runs: it answers its commit's first letter, and its gate as the letter says: "x" never gets ready,
// "z" ends at once.
func (w *world) app(r db.Release) http.Handler {
	if r.Commit[0] == 'z' || r.Replicas == mostReplicas {
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/up", func(rw http.ResponseWriter, _ *http.Request) {
		if r.Commit[0] == 'x' {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("/", func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, r.Commit[:1]) })
	return mux
}

// start begins a process: a database handle, a router with nothing in its table, and a deployer whose effects pass hook.
func (w *world) start(hook deploytest.Hook) {
	w.t.Helper()
	store, err := db.Open(w.t.Context(), w.address, w.keys)
	must(w.t, err)
	w.t.Cleanup(func() { _ = store.Close() })
	w.db = store
	w.router = deploytest.NewRouter(hook)
	runtime := w.runtime.With(hook)
	w.deployer = &deploy.Deployer{
		DB: w.db, Runtime: runtime, Images: w.disk, Router: w.router, Fetcher: checkout{hook: hook},
		Sources: map[string]deploy.Source{"dockerfile": source.NewDockerfile(w.builds), "image": source.NewImage(w.builds),
			"compose": source.NewCompose(w.builds)},
		Log: slog.New(slog.NewTextHandler(w.t.Output(), nil)),
		Config: deploy.Config{Workers: 2, Lease: 2 * time.Second, Liveness: 30 * time.Millisecond, Drain: 2 * time.Second,
			Poll: 50 * time.Millisecond, Reconcile: 20 * time.Millisecond, Workspace: w.t.TempDir()},
	}
}

// push queues a deployment of a commit whose hash is a letter, repeated.
func (w *world) push(letter string) db.Deployment {
	w.t.Helper()
	w.pushes++
	commit := strings.Repeat(letter, 40)
	out, err := w.db.Enqueue(w.t.Context(), &db.Delivery{
		ForgeID: w.repo.ForgeID, ExternalID: fmt.Sprint(w.pushes), Event: "push", RepositoryID: w.repo.ID,
		Ref: "refs/heads/main", Before: fmt.Sprintf("%040d", w.pushes), After: fmt.Sprintf("%040d", w.pushes+1),
	}, []db.Deployment{{WorkloadID: w.workload.ID, Ref: "refs/heads/main", Commit: commit}})
	must(w.t, err)
	if len(out.Deployments) != 1 {
		w.t.Fatalf("push of %s: %s", letter, out.Decision)
	}
	return w.deployment(out.Deployments[0])
}

func (w *world) deployment(id int64) db.Deployment {
	w.t.Helper()
	dep, err := w.db.Deployment(context.WithoutCancel(w.t.Context()), id)
	must(w.t, err)
	return dep
}

// run works the queue until the deployment is finished.
func (w *world) run(dep db.Deployment) db.Deployment {
	w.t.Helper()
	stop := w.runInBackground()
	defer stop()
	return w.await(dep.ID, func(d db.Deployment) bool { return d.Phase.Final() })
}

// runInBackground starts a runner. stop shuts it down as a SIGTERM does.
func (w *world) runInBackground() (stop func()) {
	return inBackground(deploy.NewRunner(w.deployer, "test").Run)
}

// await waits for the row of a deployment, woken by its phases.
func (w *world) await(id int64, until func(db.Deployment) bool) db.Deployment {
	w.t.Helper()
	wake, cancel := w.db.Subscribe(db.TopicPhase)
	defer cancel()
	deadline := time.After(30 * time.Second)
	for {
		dep := w.deployment(id)
		if until(dep) {
			return dep
		}
		select {
		case <-wake:
		case <-deadline:
			w.t.Fatalf("deployment %d stays in phase %s", id, dep.Phase)
		}
	}
}

// serves checks promise 3 from outside: one release runs, every route points to it, the row names it, it answers.
func (w *world) serves(letter string) {
	w.t.Helper()
	state, err := w.db.RuntimeState(w.t.Context(), w.workload.ID)
	must(w.t, err)
	list, err := w.runtime.List(w.t.Context())
	must(w.t, err)
	if len(list) != 1 || list[0].ID != state.ReleaseID || list[0].State != deploy.Running {
		w.t.Errorf("releases %+v, but the row names %s", list, state.ReleaseID)
	}
	for _, h := range append(w.workload.Hosts(), host) {
		if got := w.router.Routes()[h]; got != string(state.ReleaseID) {
			w.t.Errorf("the route of %s points to %q, but the row names %s", h, got, state.ReleaseID)
		}
	}
	if status, body := w.router.Get(host, "/"); status != http.StatusOK || body != letter {
		w.t.Errorf("the site answers %d %q, want %s", status, body, letter)
	}
}

// live deploys a commit that must succeed.
func (w *world) live(letter string) db.Deployment {
	w.t.Helper()
	dep := w.run(w.push(letter))
	if dep.Phase != db.PhaseLive {
		w.t.Fatalf("deployment of %s: %s: %s", letter, dep.Phase, dep.Error)
	}
	w.serves(letter)
	return dep
}

func (w *world) logText(id int64) string {
	w.t.Helper()
	lines, err := w.db.Log(w.t.Context(), id, 0, 1000)
	must(w.t, err)
	var text strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&text, "%s: %s\n", l.Phase, l.Text)
	}
	return text.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must2(t *testing.T) func(any, error) {
	t.Helper()
	return func(_ any, err error) { t.Helper(); must(t, err) }
}
