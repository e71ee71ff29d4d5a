package deploy_test

import (
	"context"
	"errors"
	"fmt"
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

// restarting is a proxy that is waited for at every call.
type restarting struct{ *deploytest.Router }

func (r restarting) Upsert(ctx context.Context, rt db.Route, up deploy.Upstream) error {
	deploy.Waits(ctx, "the proxy at /run/proxy.sock")
	deploy.Waits(ctx, "the proxy at /run/proxy.sock")
	return r.Router.Upsert(ctx, rt, up)
}

// TestWaitingForTheProxyIsSaid once, in the log of the deployment; what is said of one that stays away is its own.
func TestWaitingForTheProxyIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	w.deployer.Router = restarting{w.router}
	away := &deploy.Failure{Text: "The proxy does not answer", Fault: deploy.FaultOf("proxy_silent", "socket", "/run/proxy.sock"), Err: errors.New("connection refused")}
	w.router.SetHook(deploytest.FailAt("router.upsert:before", away))
	dep := w.run(w.push("b"))
	if text := w.logText(dep.ID); strings.Count(text, "routing: Waiting for the proxy at /run/proxy.sock") != 1 || strings.Count(text, "Waiting") != 1 {
		t.Errorf("the log is\n%s", text)
	}
	if dep.Phase != db.PhaseFailed || dep.Fault == nil || dep.Fault.Code != "proxy_silent" || dep.StillServes() {
		t.Errorf("it is %s of %+v: %s", dep.Phase, dep.Fault, dep.Error)
	}
	coded := &deploy.Failure{Text: away.Text, Fault: deploy.FaultOf("route_refused"), Err: fmt.Errorf("move: %w", away)}
	if text := coded.Error(); strings.Count(text, away.Text) != 1 || !strings.Contains(text, "refused") {
		t.Errorf("it is said as %q", text)
	}
}
