package deploy_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// looks counts what of the releases is looked at one by one.
type looks struct {
	*deploytest.Runtime
	mu   sync.Mutex
	seen map[db.ReleaseID]int
}

func (l *looks) Inspect(ctx context.Context, id db.ReleaseID) (deploy.Instance, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen[id]++
	return l.Runtime.Inspect(ctx, id)
}

// TestAPassLooksCloserWhereSomethingIsWrong: of two workloads, at the one with which something is not as its rows say, and puts it
// right; then at none.
func TestAPassLooksCloserWhereSomethingIsWrong(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	elsewhere := deploy.Upstream{Name: "foreign", Addr: "127.0.0.1:9", Port: 9}
	for name, spoil := range map[string]func(w *world, dep db.Deployment){
		"it ended":          func(w *world, dep db.Deployment) { w.runtime.Exit(dep.Release.ID, 1) },
		"another address":   func(w *world, dep db.Deployment) { w.runtime.Crash(dep.Release.ID, 1) },
		"it is gone":        func(w *world, dep db.Deployment) { must(t, w.runtime.Remove(ctx, dep.Release.ID)) },
		"the route is held": func(w *world, _ db.Deployment) { must(t, w.router.Hold(ctx, w.workload.Routes()[0])) },
		"the route is gone": func(w *world, _ db.Deployment) { must(t, w.router.Delete(ctx, w.workload.Routes()[0])) },
		"led astray":        func(w *world, _ db.Deployment) { must(t, w.router.Upsert(ctx, w.workload.Routes()[0], elsewhere)) },
		"other options": func(w *world, _ db.Deployment) {
			rt := w.workload.Routes()[0]
			up, err := w.router.Current(ctx, rt)
			must(t, err)
			rt.Paths = []string{"/app"}
			must(t, w.router.Upsert(ctx, rt, up))
		},
		"a host more": func(w *world, _ db.Deployment) { w.route(db.Routing{Aliases: []string{shop, apex}}) },
		"a host less": func(w *world, _ db.Deployment) { w.route(db.Routing{}) },
		"one too many": func(w *world, dep db.Deployment) {
			r := *dep.Release
			r.ID, r.DeploymentID = deploy.BuildGreenName(w.workload.Name, 99), 99
			must2(t)(w.runtime.Start(ctx, r))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "dockerfile", blueGreen)
			w.route(db.Routing{Aliases: []string{shop}})
			dep := w.live("a")
			_, fine := w.second("api", "api.example.com", "b")
			l := &looks{Runtime: w.runtime}
			w.deployer.Runtime = l
			look := func() map[db.ReleaseID]int {
				l.seen = map[db.ReleaseID]int{}
				w.pass()
				return l.seen
			}
			if seen := look(); len(seen) > 0 {
				t.Errorf("with nothing wrong it looked at %v", seen)
			}
			spoil(w, dep)
			if seen := look(); seen[dep.Release.ID] == 0 || seen[fine.Release.ID] > 0 {
				t.Errorf("it looked at %v", seen)
			}
			w.serveTogether()
			want := map[string]db.Deployment{"api.example.com": fine}
			for _, rt := range w.workload.Routes() {
				want[rt.Host] = dep
			}
			w.routesAre(want)
			w.answers(host, 200, "a")
			w.leaving()
			if list, err := w.runtime.List(ctx); len(list) != 2 || err != nil {
				t.Errorf("there are %+v, %v", list, err)
			}
			if w.router.Held(host) {
				t.Error("the route is held")
			}
			if seen := look(); len(seen) > 0 {
				t.Errorf("with nothing wrong any more it looked at %v", seen)
			}
		})
	}
}

// TestAPassWhereTheProxyDoesNotTell: then it looks at each.
func TestAPassWhereTheProxyDoesNotTell(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	dep := w.live("a")
	w.router.Mute = true
	l := &looks{Runtime: w.runtime, seen: map[db.ReleaseID]int{}}
	w.deployer.Runtime = l
	w.pass()
	if l.seen[dep.Release.ID] == 0 {
		t.Errorf("it looked at %v", l.seen)
	}
	w.serves("a")
}

// behind is a Router that has led a host to a release since it told where all lead.
type behind struct{ *deploytest.Router }

func (behind) Targets(context.Context) (map[string]deploy.Target, error) {
	return map[string]deploy.Target{}, nil
}

// TestAPassTakesNoRouteAway: not even for a moment, from what went live after the pass had read where all routes lead.
func TestAPassTakesNoRouteAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	before := len(w.router.Calls())
	w.deployer.Router = behind{w.router}
	w.pass()
	w.deployer.Router = w.router
	if calls := w.router.Calls()[before:]; slices.Contains(calls, "upsert "+host) {
		t.Errorf("it led the host to nobody: %q", calls)
	}
	w.serves("a")
}
