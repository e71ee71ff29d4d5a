package deploy_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/db/migratedtest"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

const gone = "gone.example.com" // a host that the workload has given back; its route is still there

// change is what a process is killed in.
type change struct {
	before []string // what was live, one after the other
	queue  func(*world) db.Deployment
	cancel bool // somebody cancels it when the process is dead
	serves string
	ends   db.Phase

	replicas int // how often what serves runs; 0 is once
}

var changes = map[string]change{
	"first":         {nil, pushOf("b"), false, "b", db.PhaseLive, 0},
	"first, bad":    {nil, pushOf("z"), false, "", db.PhaseFailed, 0},
	"first, cancel": {nil, pushOf("b"), true, "", db.PhaseCancelled, 0},
	"push":          {[]string{"a"}, pushOf("b"), false, "b", db.PhaseLive, 0},
	"push, bad":     {[]string{"a"}, pushOf("z"), false, "a", db.PhaseFailed, 0},
	"rollback":      {[]string{"a", "b"}, (*world).rollback, false, "a", db.PhaseLive, 0},
	"push, cancel":  {[]string{"a"}, pushOf("b"), true, "a", db.PhaseCancelled, 0},
}

// scalings change how often what is live runs.
var scalings = map[string]change{
	"scale":         {[]string{"a"}, scaleTo(3), false, "a", db.PhaseLive, 3},
	"scale, bad":    {[]string{"a"}, scaleTo(mostReplicas), false, "a", db.PhaseFailed, 0},
	"scale, cancel": {[]string{"a"}, scaleTo(3), true, "a", db.PhaseCancelled, 0},
}

// scaleTo is without a runtime in the config: the fake one is for all of them.
func scaleTo(replicas int) func(*world) db.Deployment {
	return func(w *world) db.Deployment {
		w.t.Helper()
		config := map[string]any{}
		must(w.t, json.Unmarshal(w.workload.Config, &config))
		config["replicas"] = replicas
		text, err := json.Marshal(config)
		must(w.t, err)
		w.workload.Config = text
		must(w.t, w.db.SaveWorkload(w.t.Context(), &w.workload))
		dep, err := w.db.QueueScale(w.t.Context(), w.workload.ID)
		must(w.t, err)
		return dep
	}
}

func pushOf(letter string) func(*world) db.Deployment {
	return func(w *world) db.Deployment { return w.push(letter) }
}

// rollback queues the way back to what was live before.
func (w *world) rollback() db.Deployment {
	w.t.Helper()
	id, err := w.db.Previous(w.t.Context(), w.workload.ID)
	must(w.t, err)
	back, err := w.db.QueueRollback(w.t.Context(), id)
	must(w.t, err)
	return back
}

// routers are what a proxy is to a process.
var routers = map[string]struct{ apart, noHold, blind bool }{
	"in the process": {},
	"apart":          {apart: true},
	"npm":            {apart: true, noHold: true, blind: true},
}

// scene is a world in which a change is queued, of which there may be any number of copies.
type scene struct {
	world    world
	database []byte // of SQLite
	live     *db.Release
	dep      db.Deployment
}

func newScene(t *testing.T, config string, c change) *scene {
	t.Helper()
	w := newWorld(t, kindOf(config), config)
	s := &scene{}
	s.set(w, c)
	must(t, w.db.Close())
	content, err := os.ReadFile(strings.TrimPrefix(w.address, "sqlite://"))
	must(t, err)
	s.world, s.database = *w, content
	return s
}

// set does what comes before.
func (s *scene) set(w *world, c change) {
	w.t.Helper()
	w.route(db.Routing{Aliases: []string{shop, gone}})
	for _, letter := range c.before {
		w.live(letter)
	}
	w.route(db.Routing{Aliases: []string{shop}})
	s.dep = c.queue(w)
	if state, err := w.db.RuntimeState(w.t.Context(), w.workload.ID); err == nil {
		s.live = &state.Release
	}
}

// copy makes a world of the scene, with a first process in it.
func (s *scene) copy(t *testing.T, router string) *world {
	t.Helper()
	w := s.world
	w.t, w.address, w.builds = t, "sqlite://"+filepath.Join(inMemory(t), "tinyforge.db"), &builds{}
	must(t, os.WriteFile(strings.TrimPrefix(w.address, "sqlite://"), s.database, 0o600))
	w.runtime = deploytest.NewRuntime(t, w.app)
	w.start(nil)
	s.stage(&w, router)
	return &w
}

// inMemory returns a folder of a file system in memory, where there is one: it is the process that is killed, not the machine.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "tinyforge-kill-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// migratedCopy is migratedtest.SQLite in memory.
func migratedCopy(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(strings.TrimPrefix(migratedtest.SQLite(t), "sqlite://"))
	must(t, err)
	file := filepath.Join(inMemory(t), "tinyforge.db")
	must(t, os.WriteFile(file, content, 0o600))
	return "sqlite://" + file
}

// stage makes the router what it is to be, and what runs before run.
func (s *scene) stage(w *world, router string) {
	w.t.Helper()
	kind := routers[router]
	w.deployer.Config.Workers = 1
	w.router.NoHold, w.router.Blind = kind.noHold, kind.blind
	var up deploy.Upstream
	if s.live != nil {
		in, err := w.runtime.Start(w.t.Context(), *s.live)
		must(w.t, err)
		up = in.Upstream
	}
	for _, h := range []string{host, shop, gone} {
		must(w.t, w.router.Upsert(w.t.Context(), db.Route{WorkloadID: w.workload.ID, Host: h}, up))
	}
}

// onPostgres makes the scene in a database of PostgreSQL.
func onPostgres(t *testing.T, config, router string, c change) (*world, *scene) {
	t.Helper()
	w := newWorldIn(t, migratedtest.Postgres(t), kindOf(config), config)
	s := &scene{}
	s.set(w, c)
	s.stage(w, router)
	return w, s
}

func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		names = append(names, fmt.Sprint(e.Name()))
	}
	return names
}
