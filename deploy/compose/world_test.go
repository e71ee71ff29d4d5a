package compose_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/db/migratedtest"
	"tinyforge/deploy"
	"tinyforge/deploy/compose"
	"tinyforge/deploy/deploytest"
	"tinyforge/deploy/docker"
	"tinyforge/deploy/source"
)

func TestMain(m *testing.M) {
	code := deploytest.RunMany(m)
	if err := compose.RemoveShared(); err != nil {
		fmt.Fprintln(os.Stderr, "remove the images of all tests:", err)
		code = 1
	}
	os.Exit(code)
}

// world is a deployer with the real Docker, a real database and a router in memory.
type world struct {
	t        *testing.T
	store    *db.DB
	engine   *docker.Engine
	runtime  *compose.Runtime
	router   *deploytest.Router
	deployer *deploy.Deployer
	repo     db.Repository
	workload db.Workload
	commits  map[string]map[string]string // files by the commit's letter
	keeper   string                       // an image
	pushes   int
}

const site = "www.example.com"

func newWorld(t *testing.T, config string) *world {
	t.Helper()
	t.Parallel()
	name := "t" + strings.ToLower(rand.Text()[:8])
	w := &world{t: t, commits: map[string]map[string]string{}, router: deploytest.NewRouter(nil)}
	log := slog.New(slog.DiscardHandler)
	var err error
	w.engine, err = docker.New(docker.Config{Instance: name, Network: "tinyforge-test-" + name, Log: log})
	must(t, err)
	w.runtime, err = compose.New(compose.Config{Instance: name, Network: "tinyforge-test-" + name, ConfigDir: t.TempDir(), Patience: 20 * time.Second, Stays: 200 * time.Millisecond, Log: log}, w.engine)
	must(t, err)
	t.Cleanup(func() { compose.Sweep(t, w.runtime, name) })
	keys, err := db.NewKeyring()
	must(t, err)
	w.store, err = db.Open(t.Context(), migratedtest.SQLite(t), keys)
	must(t, err)
	t.Cleanup(func() { _ = w.store.Close() })
	forge := db.Forge{Name: "forge", Kind: "github"}
	must(t, w.store.SaveForge(t.Context(), &forge))
	w.repo = db.Repository{ForgeID: forge.ID, ExternalID: 1, FullName: "acme/web", DefaultBranch: "main"}
	must(t, w.store.SaveRepository(t.Context(), &w.repo))
	w.workload = db.Workload{Name: name, RepositoryID: w.repo.ID, Host: site, Enabled: true}
	w.configure("compose", config)
	w.deployer = &deploy.Deployer{
		DB: w.store, Runtime: w.runtime, Images: w.engine, Router: w.router, Fetcher: w, Log: log,
		Sources: map[string]deploy.Source{"compose": source.NewCompose(compose.NewLoader(w.engine)), "dockerfile": source.NewDockerfile(w.engine)},
		Config:  deploy.Config{Workers: 1, Liveness: time.Second, Drain: time.Second, Poll: 50 * time.Millisecond, Workspace: t.TempDir()},
	}
	w.keeper = compose.Keeper.Name(t, keeperFolder)
	return w
}

func (w *world) configure(kind, config string) {
	w.t.Helper()
	w.workload.Source, w.workload.Config = kind, json.RawMessage(config)
	must(w.t, w.store.SaveWorkload(w.t.Context(), &w.workload))
}

// keeperFolder is of what the keeper's image is made.
func keeperFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	deploytest.BuildStatic(t, filepath.Join(dir, "keeper"), "./testdata/keeper")
	must(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nCOPY keeper /keeper\nENTRYPOINT [\"/keeper\"]\n"), 0o600))
	return dir
}

// Fetch implements deploy.Fetcher: a Dockerfile of the keeper with a file of its own, and the files of the commit.
func (w *world) Fetch(_ context.Context, _ db.Repository, commit, dir string) (said db.CommitText, err error) {
	files := map[string]string{
		"notes":      "copied by each build\n",
		"Dockerfile": "FROM " + w.keeper + "\nCOPY notes /notes\n",
	}
	maps.Copy(files, w.commits[commit[:1]])
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return said, err
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			return said, err
		}
	}
	return said, nil
}

// deploy pushes a commit with files and works until its deployment is finished.
func (w *world) deploy(letter string, files map[string]string) db.Deployment {
	w.t.Helper()
	w.commits[letter] = files
	w.pushes++
	out, err := w.store.Enqueue(w.t.Context(), &db.Delivery{
		ForgeID: w.repo.ForgeID, ExternalID: fmt.Sprint(w.pushes), Event: "push", RepositoryID: w.repo.ID,
		Ref: "refs/heads/main", Before: fmt.Sprintf("%040d", w.pushes), After: fmt.Sprintf("%040d", w.pushes+1),
	}, []db.Deployment{{WorkloadID: w.workload.ID, Ref: "refs/heads/main", Commit: strings.Repeat(letter, 40)}})
	must(w.t, err)
	return w.work(out.Deployments[0], func(d db.Deployment) bool { return d.Phase.Final() })
}

// work runs a process until a deployment is as it should be.
func (w *world) work(id int64, until func(db.Deployment) bool) db.Deployment {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 3*time.Minute)
	wake, unsubscribe := w.store.Subscribe(db.TopicPhase)
	defer unsubscribe()
	done := make(chan struct{})
	go func() { defer close(done); _ = deploy.NewRunner(w.deployer, "test").Run(ctx) }()
	defer func() { cancel(); <-done }()
	for {
		d, err := w.store.Deployment(w.t.Context(), id)
		must(w.t, err)
		if until(d) {
			return d
		}
		select {
		case <-wake:
		case <-ctx.Done():
			w.t.Fatalf("deployment stays in phase %s: %s", d.Phase, w.log(id))
		}
	}
}

func (w *world) live(letter string, files map[string]string) db.Deployment {
	w.t.Helper()
	d := w.deploy(letter, files)
	if d.Phase != db.PhaseLive {
		w.t.Fatalf("deployment of %s: %s: %s\n%s", letter, d.Phase, d.Error, w.log(d.ID))
	}
	return d
}

func (w *world) log(id int64) string {
	w.t.Helper()
	lines, err := w.store.Log(w.t.Context(), id, 0, 1000)
	must(w.t, err)
	var text strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&text, "%s: %s\n", l.Phase, l.Text)
	}
	return text.String()
}

// get asks the site.
func (w *world) get(path string) string {
	w.t.Helper()
	status, body := w.router.Get(site, path)
	return strings.TrimSpace(fmt.Sprint(status, " ", body))
}

func (w *world) want(path, want string) {
	w.t.Helper()
	if got := w.get(path); got != want {
		w.t.Errorf("%s answers %q, want %q", path, got, want)
	}
}

// ask is the path by which web asks db.
func ask(path string) string { return "/ask?url=" + url.QueryEscape("http://db:8080"+path) }
