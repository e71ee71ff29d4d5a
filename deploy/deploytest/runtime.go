package deploytest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Runtime is a deploy.Runtime in memory. Every running release serves HTTP on a loopback port of its own, so that gates,
// proxies and load have something real to speak to. A stopped release lets its requests finish, as a good container does.
// The stack of a workload is one release at a time: starting another takes it over. A release
// that runs several times has as many ports.
//
// Its points are "runtime.start", "runtime.stop", "runtime.remove" and "runtime.volumes".
type Runtime struct {
	hook   Hook
	engine *engine
}

// engine is what outlives a process that uses it.
type engine struct {
	app func(db.Release) http.Handler

	mu         sync.Mutex
	containers map[db.ReleaseID]*container
	lost       map[string]bool // images
	volumes    map[string]bool // by "workload/volume"
	watchers   map[*watcher]struct{}
}

// NewRuntime returns an empty Runtime. app is what a release runs; nil means Sample. A release for which it returns nil ends
// at once whenever it is started.
func NewRuntime(t testing.TB, app func(db.Release) http.Handler) *Runtime {
	if app == nil {
		app = Sample
	}
	e := &engine{app: app, containers: map[db.ReleaseID]*container{}, lost: map[string]bool{}, volumes: map[string]bool{}, watchers: map[*watcher]struct{}{}}
	t.Cleanup(e.close)
	return &Runtime{engine: e}
}

// With returns the same runtime with a hook: what another process that uses it sees and does.
func (r *Runtime) With(hook Hook) *Runtime { return &Runtime{hook: hook, engine: r.engine} }

// Start implements deploy.Runtime.
func (r *Runtime) Start(ctx context.Context, release db.Release) (deploy.Instance, error) {
	var in deploy.Instance
	var failed error
	err := r.call(ctx, "runtime.start", func() { in, failed = r.engine.start(release) })
	return in, errors.Join(err, failed)
}

// Scales implements deploy.Scaler.
func (*Runtime) Scales(db.Release) bool { return true }

// Ready implements deploy.Runtime: all images are there but those that LoseImages took.
func (r *Runtime) Ready(ctx context.Context, release db.Release) error {
	r.engine.mu.Lock()
	defer r.engine.mu.Unlock()
	for _, image := range release.AllImages() {
		if r.engine.lost[image] {
			return &deploy.Failure{Text: "The image of release " + string(release.ID) + " was removed"}
		}
	}
	return ctx.Err()
}

// Stop implements deploy.Runtime.
func (r *Runtime) Stop(ctx context.Context, id db.ReleaseID) error {
	return r.call(ctx, "runtime.stop", func() { r.engine.stop(id, false) })
}

// Remove implements deploy.Runtime.
func (r *Runtime) Remove(ctx context.Context, id db.ReleaseID) error {
	return r.call(ctx, "runtime.remove", func() { r.engine.stop(id, true) })
}

// RemoveVolumes implements deploy.Runtime.
func (r *Runtime) RemoveVolumes(ctx context.Context, workload string) error {
	return r.call(ctx, "runtime.volumes", func() { r.engine.removeVolumes(workload) })
}

// Volumes returns the volumes that there are, as "workload/volume", in order.
func (r *Runtime) Volumes() []string {
	r.engine.mu.Lock()
	defer r.engine.mu.Unlock()
	return slices.Sorted(maps.Keys(r.engine.volumes))
}

// Inspect implements deploy.Runtime.
func (r *Runtime) Inspect(ctx context.Context, id db.ReleaseID) (deploy.Instance, error) {
	r.engine.mu.Lock()
	defer r.engine.mu.Unlock()
	c := r.engine.containers[id]
	if c == nil {
		return deploy.Instance{ID: id, State: deploy.Missing}, ctx.Err()
	}
	return c.instance(), ctx.Err()
}

// Tail implements deploy.Runtime.
func (r *Runtime) Tail(ctx context.Context, id db.ReleaseID) (lines []string, err error) {
	r.engine.with(id, func(c *container) { lines = slices.Clone(c.tail) })
	return lines, ctx.Err()
}

// List implements deploy.Runtime.
func (r *Runtime) List(ctx context.Context) ([]deploy.Instance, error) {
	r.engine.mu.Lock()
	defer r.engine.mu.Unlock()
	list := []deploy.Instance{}
	for _, id := range slices.Sorted(maps.Keys(r.engine.containers)) {
		in := r.engine.containers[id].instance()
		in.ExitCode, in.Restarts = 0, 0
		list = append(list, in)
	}
	return list, ctx.Err()
}

// Watch implements deploy.Runtime.
func (r *Runtime) Watch(ctx context.Context, changed func(db.ReleaseID)) error {
	w := newWatcher()
	r.engine.watch(w)
	defer r.engine.unwatch(w)
	w.tell("")
	w.run(ctx, changed)
	return nil
}

// Exit ends a running release with a code; it stays so, as a container that crashes again and again mostly does.
func (r *Runtime) Exit(id db.ReleaseID, code int) { r.engine.crash(id, code, false) }

// Crash ends a running release with a code; it runs again at once, at another address.
func (r *Runtime) Crash(id db.ReleaseID, code int) { r.engine.crash(id, code, true) }

// Serve changes what a release answers, from the next request on until it is removed.
func (r *Runtime) Serve(id db.ReleaseID, app http.Handler) {
	r.engine.with(id, func(c *container) { c.app = app })
}

// Print adds a line to the log of a release.
func (r *Runtime) Print(id db.ReleaseID, line string) {
	r.engine.with(id, func(c *container) { c.print(line) })
}

// LoseImages makes the images of a release be gone.
func (r *Runtime) LoseImages(release db.Release) {
	r.engine.mu.Lock()
	defer r.engine.mu.Unlock()
	for _, image := range release.AllImages() {
		r.engine.lost[image] = true
	}
}

// Lose makes every Watch believe that it missed events.
func (r *Runtime) Lose() {
	r.engine.mu.Lock()
	defer r.engine.mu.Unlock()
	r.engine.tell("")
}

func (r *Runtime) call(ctx context.Context, name string, effect func()) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return r.hook.Call(name, func() error {
		effect()
		return nil
	})
}
