package deploy_test

import (
	"errors"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// TestRouteThatTheRouterCannotDo fails before anything is built.
func TestRouteThatTheRouterCannotDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	built := len(w.builds.specs)
	w.router.Cannot = errors.New("paths: do that elsewhere")
	dep := w.run(w.push("b"))
	if dep.Phase != db.PhaseFailed || !strings.Contains(dep.Error, "paths: do that elsewhere") {
		t.Errorf("the deployment is %s: %s", dep.Phase, dep.Error)
	}
	if len(w.builds.specs) != built {
		t.Error("it was built")
	}
	w.serves("a")
}

// TestRecoveryStartsWhatRunsWithoutTheRouter: a proxy that is away must not keep a site from being there when it comes back.
func TestRecoveryStartsWhatRunsWithoutTheRouter(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	dep := w.live("a")
	must(t, w.runtime.Stop(t.Context(), dep.Release.ID))
	w.router.SetHook(deploytest.FailAt("router.upsert:before", errors.New("the router is away")))
	if err := deploy.NewRecovery(w.deployer).Pass(t.Context()); err == nil {
		t.Error("the pass does not say that the route is not right")
	}
	if in, err := w.runtime.Inspect(t.Context(), dep.Release.ID); err != nil || in.State != deploy.Running {
		t.Errorf("the release is %s, %v", in.State, err)
	}
	w.router.SetHook(nil)
	w.pass()
	w.serves("a")
}

// TestNobodyIsLetInWhereRequestsCannotWait: Docker may give what starts the address of what ended, and the route still has it.
func TestNobodyIsLetInWhereRequestsCannotWait(t *testing.T) {
	t.Parallel()
	for name, config := range configs {
		if name == "blue-green" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, kindOf(config), config)
			w.live("a")
			w.router.NoHold = true
			starts := 0
			w.deployer.Runtime = w.runtime.With(deploytest.Record(func(point string) {
				if point != "runtime.start:before" {
					return
				}
				if starts++; w.router.Routes()[host] != "" {
					t.Errorf("start %d: the route still goes to %q", starts, w.router.Routes()[host])
				}
			}))
			w.run(w.push("x"))
			w.serves("a")
			w.live("b")
			if starts < 3 {
				t.Errorf("%d starts were seen, want that of the bad release, of the good one again, and of the next", starts)
			}
		})
	}
}
