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
	"tinyforge/db/dbtest"
	"tinyforge/deploy"
	"tinyforge/deploy/compose"
	"tinyforge/deploy/deploytest"
	"tinyforge/deploy/docker"
	"tinyforge/deploy/source"
)

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
	keeper   []byte
	pushes   int
}

const site = "www.example.com"

func newWorld(t *testing.T, config string) *world {
	t.Helper()
	name := "t" + strings.ToLower(rand.Text()[:8])
	w := &world{t: t, commits: map[string]map[string]string{}, router: deploytest.NewRouter(nil)}
	log := slog.New(slog.DiscardHandler)
	var err error
	w.engine, err = docker.New(docker.Config{Instance: name, Network: "tinyforge-test-" + name, Log: log})
	must(t, err)
	w.runtime, err = compose.New(compose.Config{Instance: name, Network: "tinyforge-test-" + name, ConfigDir: t.TempDir(), Patience: 20 * time.Second, Log: log}, w.engine)
	must(t, err)
	t.Cleanup(func() { compose.Sweep(t, w.runtime, name) })
	keys, err := db.NewKeyring()
	must(t, err)
	w.store, err = db.Open(t.Context(), dbtest.SQLite(t), keys)
	must(t, err)
	t.Cleanup(func() { _ = w.store.Close() })
	_, err = w.store.Migrate(t.Context())
	must(t, err)
	forge := db.Forge{Name: "forge", Kind: "github"}
	must(t, w.store.SaveForge(t.Context(), &forge))
	w.repo = db.Repository{ForgeID: forge.ID, ExternalID: 1, FullName: "acme/web", DefaultBranch: "main"}
	must(t, w.store.SaveRepository(t.Context(), &w.repo))
	w.workload = db.Workload{Name: name, RepositoryID: w.repo.ID, Host: site, Enabled: true}
	w.configure("compose", config)
	w.deployer = &deploy.Deployer{
		DB: w.store, Runtime: w.runtime, Router: w.router, Fetcher: w, Log: log,
		Sources: map[string]deploy.Source{"compose": source.NewCompose(compose.NewLoader(w.engine)), "dockerfile": source.NewDockerfile(w.engine)},
		Config:  deploy.Config{Workers: 1, Liveness: time.Second, Drain: time.Second, Poll: 50 * time.Millisecond, Workspace: t.TempDir()},
	}
	file := filepath.Join(t.TempDir(), "keeper")
	deploytest.BuildStatic(t, file, "./testdata/keeper")
	w.keeper, err = os.ReadFile(file)
	must(t, err)
	return w
}

func (w *world) configure(kind, config string) {
	w.t.Helper()
	w.workload.Source, w.workload.Config = kind, json.RawMessage(config)
	must(w.t, w.store.SaveWorkload(w.t.Context(), &w.workload))
}

// Fetch implements deploy.Fetcher: the keeper, its Dockerfile, and the files of the commit.
func (w *world) Fetch(_ context.Context, _ db.Repository, commit, dir string) error {
	files := map[string]string{
		"keeper":     string(w.keeper),
		"Dockerfile": "FROM scratch\nCOPY --chmod=0755 keeper /keeper\nENTRYPOINT [\"/keeper\"]\n",
	}
	maps.Copy(files, w.commits[commit[:1]])
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
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

const config = `{"service":"web","healthcheck":{"path":"/up","interval":"100ms","attempts":5}}`

// stack is web, which asks db, which keeps what it is told.
func stack(version, more string) map[string]string {
	return map[string]string{"compose.yaml": `
services:
  web:
    build: .
    environment: {VERSION: ` + version + more + `}
    depends_on: {db: {condition: service_started}, migrate: {condition: service_completed_successfully}}
  migrate:
    build: .
    environment: {JOB: migrate}
  db:
    build: .
    environment: {VERSION: db}
    volumes: ['data:/data']
volumes: {data: {}}
`}
}

// TestStackKeepsServing is promise 2 for stacks: whatever goes wrong, what served serves, and its data is there.
func TestStackKeepsServing(t *testing.T) {
	w := newWorld(t, config)
	first := w.live("a", stack("one", ""))
	w.want("/", "200 one")
	w.want(ask("/write?path=/data/x&text=kept"), "200")
	w.want(ask("/read?path=/data/x"), "200 kept")

	sick := w.deploy("x", stack("two", ", SICK: '1'"))
	if sick.Phase != db.PhaseFailed || !strings.HasPrefix(sick.Error, "Gate failed: GET /up answered 500") || !strings.HasSuffix(sick.Error, "; the previous release still serves") {
		t.Errorf("%s: %s", sick.Phase, sick.Error)
	}
	if !strings.Contains(sick.Tail, "keeper listens") {
		t.Errorf("its last lines are %q", sick.Tail)
	}
	w.want("/", "200 one")
	w.want(ask("/read?path=/data/x"), "200 kept")

	other := stack("three", "")
	other["compose.yaml"] = strings.Replace(other["compose.yaml"], "VERSION: db}", "VERSION: newer}\n    entrypoint: [/absent]", 1)
	failed := w.deploy("y", other)
	if failed.Phase != db.PhaseFailed || !strings.Contains(failed.Error, "/absent") {
		t.Errorf("%s: %s", failed.Phase, failed.Error)
	}
	w.want("/", "200 one")
	w.want(ask("/"), "200 db")
	w.want(ask("/read?path=/data/x"), "200 kept")

	refused := w.deploy("z", map[string]string{"compose.yaml": "services: {web: {build: ., privileged: true}}\n"})
	if refused.Phase != db.PhaseFailed || !strings.Contains(refused.Error, "service web: privileged is refused") {
		t.Errorf("%s: %s", refused.Phase, refused.Error)
	}
	w.want("/", "200 one")

	second := w.live("b", stack("four", ""))
	w.want("/", "200 four")
	w.want(ask("/read?path=/data/x"), "200 kept")
	list, err := w.runtime.List(t.Context())
	must(t, err)
	if len(list) != 1 || list[0].ID != second.Release.ID || list[0].State != deploy.Running {
		t.Errorf("listed %+v", list)
	}
	if first, err := w.store.Deployment(t.Context(), first.ID); err != nil || first.Phase != db.PhaseRetired {
		t.Errorf("the first deployment is %s, %v", first.Phase, err)
	}
}

// TestStackResumes: a process ends in the middle of an up, and the next one goes on.
func TestStackResumes(t *testing.T) {
	w := newWorld(t, config)
	w.live("a", stack("one", ""))
	for i, letter := range []string{"b", "c"} {
		w.commits[letter] = stack("next"+letter, "")
		w.pushes++
		out, err := w.store.Enqueue(t.Context(), &db.Delivery{
			ForgeID: w.repo.ForgeID, ExternalID: fmt.Sprint(w.pushes), Event: "push", RepositoryID: w.repo.ID, Ref: "refs/heads/main",
			Before: fmt.Sprintf("%040d", w.pushes), After: fmt.Sprintf("%040d", w.pushes+1),
		}, []db.Deployment{{WorkloadID: w.workload.ID, Ref: "refs/heads/main", Commit: strings.Repeat(letter, 40)}})
		must(t, err)
		id := out.Deployments[0]
		w.work(id, func(d db.Deployment) bool { return d.Phase == db.PhaseStarting })
		if i == 1 {
			must(t, deploy.NewRecovery(w.deployer).Pass(t.Context())) // leaves it alone
		}
		d := w.work(id, func(d db.Deployment) bool { return d.Phase.Final() })
		if d.Phase != db.PhaseLive {
			t.Fatalf("%s: %s\n%s", d.Phase, d.Error, w.log(id))
		}
		w.want("/", "200 next"+letter)
	}
}

// TestFirstStackFails leaves no container.
func TestFirstStackFails(t *testing.T) {
	w := newWorld(t, config)
	if d := w.deploy("x", stack("one", ", SICK: '1'")); d.Phase != db.PhaseFailed {
		t.Errorf("phase %s", d.Phase)
	}
	if list, err := w.runtime.List(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("left %+v, %v", list, err)
	}
	if status, _ := w.router.Get(site, "/"); status != 503 {
		t.Errorf("status %d", status)
	}
}

// TestSourceChanges from a stack to one container and back; the volume lasts.
func TestSourceChanges(t *testing.T) {
	w := newWorld(t, config)
	w.live("a", stack("one", ""))
	w.want(ask("/write?path=/data/x&text=kept"), "200")
	w.configure("dockerfile", `{"env":{"VERSION":"alone"}}`)
	alone := w.live("b", nil)
	w.want("/", "200 alone")
	if list, err := w.runtime.List(t.Context()); err != nil || len(list) != 1 || list[0].ID != alone.Release.ID {
		t.Errorf("listed %+v, %v", list, err)
	}
	w.configure("compose", config)
	sick := w.deploy("x", stack("two", ", SICK: '1'"))
	if sick.Phase != db.PhaseFailed {
		t.Errorf("phase %s", sick.Phase)
	}
	w.want("/", "200 alone")
	if list, err := w.runtime.List(t.Context()); err != nil || len(list) != 1 || list[0].ID != alone.Release.ID {
		t.Errorf("listed %+v, %v", list, err)
	}
	w.live("c", stack("three", ""))
	w.want("/", "200 three")
	w.want(ask("/read?path=/data/x"), "200 kept")
}

// TestRestOfStackIsStarted: when another service is down, the site goes on, and the service is started again.
func TestRestOfStackIsStarted(t *testing.T) {
	w := newWorld(t, config)
	d := w.live("a", stack("one", ""))
	compose.StopService(t, w.runtime, w.workload.Name, "db")
	var routes []string
	w.router.SetHook(deploytest.Record(func(string) { routes = append(routes, w.router.Routes()[site]) }))
	must(t, deploy.NewRecovery(w.deployer).Pass(t.Context()))
	for _, route := range routes {
		if route != string(d.Release.ID) {
			t.Errorf("the route pointed to %q meanwhile", route)
		}
	}
	w.want(ask("/"), "200 db")
}

// TestFilesOfTheCheckout are there after it is gone, with what the container can see of them, in a service that is not
// made anew as long as they are the same.
func TestFilesOfTheCheckout(t *testing.T) {
	w := newWorld(t, config)
	files := func(version, text string) map[string]string {
		return map[string]string{
			"compose.yaml": `
services:
  web:
    build: {context: ., args: {X: y}}
    environment: {VERSION: ` + version + `}
    read_only: true
    volumes: ['./web.conf:/etc/web/web.conf', './conf.d:/etc/web/conf.d:ro']
    configs: [{source: app, target: /app.json, mode: 0444}, inner]
    secrets: [token]
  db:
    build: {dockerfile_inline: "FROM scratch\nCOPY --chmod=0755 keeper /keeper\nENTRYPOINT [\"/keeper\"]\n", context: .}
    volumes: ['./web.conf:/etc/db.conf:ro']
    configs: [text]
configs:
  app: {file: ./app.json}
  inner: {file: ./app.json}
  text: {content: "given ${VALUE}"}
secrets: {token: {file: ./token}}
`,
			"web.conf": text, "conf.d/a": "a of " + text, "conf.d/deep/b": "b", "app.json": "{}", "token": "hush", ".env": "VALUE=text\n",
		}
	}
	d := w.live("a", files("one", "first"))
	for path, want := range map[string]string{
		"/etc/web/web.conf": "first", "/etc/web/conf.d/a": "a of first", "/etc/web/conf.d/deep/b": "b", "/app.json": "{}", "/inner": "{}", "/run/secrets/token": "hush",
	} {
		w.want("/read?path="+path, "200 "+want)
	}
	w.want(ask("/read?path=/etc/db.conf"), "200 first")
	w.want(ask("/read?path=/text"), "200 given text")
	if log := w.log(d.ID); !strings.Contains(log, "web: web.conf of the repository is copied to /etc/web/web.conf") {
		t.Errorf("the log does not tell of files:\n%s", log)
	}
	must(t, w.runtime.Stop(t.Context(), d.Release.ID)) // as after a restart of the machine
	must(t, deploy.NewRecovery(w.deployer).Pass(t.Context()))
	w.want("/read?path=/etc/web/web.conf", "200 first")
	w.want(ask("/write?path=/mark&text=same"), "200")
	w.live("b", files("two", "first"))
	w.want("/", "200 two")
	w.want(ask("/read?path=/mark"), "200 same") // db is the same container
	w.live("c", files("three", "second"))
	w.want("/read?path=/etc/web/web.conf", "200 second")
	w.want(ask("/read?path=/etc/db.conf"), "200 second")
}

// TestTakeDown ends a deleted workload, with its volumes where that is asked for.
func TestTakeDown(t *testing.T) {
	for _, volumesToo := range []bool{false, true} {
		t.Run(fmt.Sprint(volumesToo), func(t *testing.T) {
			w := newWorld(t, config)
			d := w.live("a", stack("one", ""))
			must(t, w.store.MarkReported(t.Context(), db.CommitKey{RepositoryID: w.repo.ID, Commit: d.Commit}, []db.Deployment{d}))
			must(t, w.store.DeleteWorkload(t.Context(), w.workload.ID, volumesToo))
			must(t, deploy.NewRecovery(w.deployer).Pass(t.Context()))
			if list, err := w.runtime.List(t.Context()); err != nil || len(list) > 0 {
				t.Errorf("left %+v, %v", list, err)
			}
			if left := compose.HasVolume(t, w.runtime, "tfstack-"+w.workload.Name+"_data"); left == volumesToo {
				t.Errorf("volume left: %t", left)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
