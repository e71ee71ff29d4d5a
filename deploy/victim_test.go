package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// victim is a process that dies at a point: each of its goroutines stands still where it is, as if it were gone, and nothing
// that it has begun takes effect.
type victim struct {
	at     int           // the point at which it dies, counted from 1; 0 is none
	where  string        // the point at which it dies, by its name; "" is none
	gently bool          // it is told to stop instead, as by SIGTERM
	named  bool          // only the named points of phases count
	store  *db.DB        // is closed when it dies
	dead   chan struct{} // closed when it dies
	buried chan struct{} // closed at the end of the test

	mu     sync.Mutex
	points []string
}

func newVictim(at int) *victim {
	return &victim{at: at, dead: make(chan struct{}), buried: make(chan struct{})}
}

// hook is for all its fakes.
func (v *victim) hook(point string) error {
	if v.pass(point) {
		return nil
	}
	<-v.buried
	return fmt.Errorf("%s: %w", point, deploytest.ErrKilled)
}

// pass tells whether it lives on after a point.
func (v *victim) pass(point string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.isDead():
		return v.gently
	case v.named && strings.Contains(point, "."):
		return true
	}
	v.points = append(v.points, point)
	if len(v.points) != v.at && point != v.where {
		return true
	}
	if !v.gently {
		_ = v.store.Close() // what is dead writes nothing
	}
	close(v.dead)
	return v.gently
}

func (v *victim) isDead() bool {
	select {
	case <-v.dead:
		return true
	default:
		return false
	}
}

// count is how many points it came by.
func (v *victim) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.points)
}

// last is the point at which it died.
func (v *victim) last() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.points[len(v.points)-1]
}

// possess makes the present process of the world this one.
func (v *victim) possess(w *world) {
	v.store = w.db
	w.router.SetHook(v.hook)
	w.deployer.Runtime = w.runtime.With(v.hook)
	w.deployer.Fetcher = checkout{hook: v.hook}
	w.deployer.Point = func(name string) { _ = v.hook(name) }
}

// life is what a process does: it makes a pass if it has just been started, takes a deployment to its end, and makes another
// pass. It ends when the victim does. It reports how many points the first pass had.
func (v *victim) life(w *world, started bool, dep db.Deployment) (inFirst int) {
	w.t.Helper()
	v.possess(w)
	recovery, runner := deploy.NewRecovery(w.deployer), deploy.NewRunner(w.deployer, "victim")
	ctx, cancel := context.WithCancel(context.Background())
	var threads sync.WaitGroup
	w.t.Cleanup(func() { cancel(); close(v.buried); threads.Wait() })
	if started && !v.during(&threads, func() { _ = recovery.Pass(ctx) }) {
		return v.count()
	}
	inFirst = v.count()
	if !v.during(&threads, func() { v.deploy(ctx, runner, dep) }) {
		if v.gently {
			cancel()
			threads.Wait()
			must(w.t, v.store.Close())
		}
		return inFirst
	}
	v.during(&threads, func() { _ = recovery.Pass(ctx) })
	return inFirst
}

// passes is a life of one pass. It tells whether the victim died.
func (v *victim) passes(w *world) bool {
	w.t.Helper()
	v.possess(w)
	recovery := deploy.NewRecovery(w.deployer)
	ctx, cancel := context.WithCancel(context.Background())
	var threads sync.WaitGroup
	w.t.Cleanup(func() { cancel(); close(v.buried); threads.Wait() })
	return !v.during(&threads, func() { _ = recovery.Pass(ctx) })
}

// during waits until a thread has ended, or the victim; it tells whether it lives.
func (v *victim) during(threads *sync.WaitGroup, do func()) bool {
	done := make(chan struct{})
	threads.Go(func() { defer close(done); do() })
	select {
	case <-done:
	case <-v.dead:
	}
	return !v.isDead()
}

// deploy runs until the deployment has ended.
func (v *victim) deploy(ctx context.Context, runner *deploy.Runner, dep db.Deployment) {
	ctx, cancel := context.WithCancel(ctx)
	wake, unsubscribe := v.store.Subscribe(db.TopicPhase)
	defer unsubscribe()
	var running sync.WaitGroup
	running.Go(func() { _ = runner.Run(ctx) })
	defer running.Wait()
	defer cancel()
	for {
		if d, err := v.store.Deployment(ctx, dep.ID); err != nil || d.Phase.Final() {
			return
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return
		}
	}
}

// next is the process after the victim. It gets the router where that outlives its process.
func (w *world) next(apart bool) {
	w.t.Helper()
	old, workspace := w.router, w.deployer.Config.Workspace
	w.start(nil)
	w.deployer.Config.Workspace = workspace
	if apart {
		old.SetHook(nil)
		w.router, w.deployer.Router = old, old
	}
	must(w.t, deploy.EmptyWorkspace(w.deployer.Config.Workspace))
}

// whole checks promise 3: exactly one release of the workload runs, or none where letter is "", every route leads to it, its
// row names it, and nothing of the deployment is left.
func (w *world) whole(letter string) {
	w.t.Helper()
	state, err := w.db.RuntimeState(w.t.Context(), w.workload.ID)
	if letter == "" && !errors.Is(err, db.ErrNotFound) {
		w.t.Errorf("the row names %s (%v), though nothing was ever live", state.ReleaseID, err)
	}
	if letter == "" {
		w.nothingRuns()
	} else {
		w.serves(letter)
	}
	all, err := w.db.DeploymentsOf(w.t.Context(), w.workload.ID, 100)
	must(w.t, err)
	for _, d := range all {
		if !d.Phase.Final() || !d.LeaseUntil.IsZero() || d.FinishedAt.IsZero() {
			w.t.Errorf("deployment %d is %s, leased until %v, finished at %v", d.ID, d.Phase, d.LeaseUntil, d.FinishedAt)
		}
		if live := d.Phase == db.PhaseLive; live != (letter != "" && d.ID == state.DeploymentID) {
			w.t.Errorf("deployment %d is %s, and the row names deployment %d", d.ID, d.Phase, state.DeploymentID)
		}
	}
	if queued, working, err := w.db.CountUnfinished(w.t.Context()); queued+working > 0 || err != nil {
		w.t.Errorf("%d are queued and %d in progress (%v)", queued, working, err)
	}
	w.leaving()
	w.nothingWaits()
	w.noCheckouts()
}

func (w *world) nothingRuns() {
	w.t.Helper()
	if list, err := w.runtime.List(w.t.Context()); len(list) > 0 || err != nil {
		w.t.Errorf("releases %+v (%v), though nothing was ever live", list, err)
	}
	for host, name := range w.router.Routes() {
		if name != "" {
			w.t.Errorf("the route of %s leads to %s", host, name)
		}
	}
}

// nothingWaits checks that no route is held, and that there is none of another host.
func (w *world) nothingWaits() {
	w.t.Helper()
	routes := w.router.Routes()
	for host := range routes {
		if w.router.Held(host) {
			w.t.Errorf("requests to %s are kept waiting", host)
		}
	}
	if len(routes) != len(w.workload.Hosts()) {
		w.t.Errorf("routes %v, want those of %q", routes, w.workload.Hosts())
	}
}

// answersOrWaits checks what a proxy is left with that outlives its process: no route leads to what does not run. Always
// means that none may lead to nobody.
func (w *world) answersOrWaits(always bool) {
	w.t.Helper()
	for host, name := range w.router.Routes() {
		up, err := w.router.Current(w.t.Context(), db.Route{Host: host})
		must(w.t, err)
		in, err := w.runtime.Inspect(w.t.Context(), db.ReleaseID(name))
		must(w.t, err)
		switch {
		case always && (name == "" || w.router.Held(host)):
			w.t.Errorf("%s leads to %q, held %t, while the process is dead", host, name, w.router.Held(host))
		case name != "" && !w.router.Held(host) && !within(up, in.Upstream):
			w.t.Errorf("%s leads to %s, which is %s, while the process is dead", host, name, in.State)
		}
	}
}

// within tells whether a route leads to nothing but what runs.
func within(route, runs deploy.Upstream) bool {
	return route.Name == runs.Name && route.Addr != "" && !slices.ContainsFunc(route.Addrs(), func(addr string) bool { return !slices.Contains(runs.Addrs(), addr) })
}

func (w *world) noCheckouts() {
	w.t.Helper()
	if left := filesIn(w.t, w.deployer.Config.Workspace); len(left) > 0 {
		w.t.Errorf("checkouts are left: %q", left)
	}
}
