package deploy_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// TestRecreateRunsOneAtATime: a volume is written by one release, whatever becomes of the deployment.
func TestRecreateRunsOneAtATime(t *testing.T) {
	t.Parallel()
	for _, letter := range []string{"b", "x"} {
		w := newWorld(t, "dockerfile", recreate)
		w.live("a")
		w.deployer.Runtime = w.runtime.With(deploytest.Record(func(point string) {
			list, _ := w.runtime.List(t.Context())
			if point == "runtime.start:before" && slices.ContainsFunc(list, func(in deploy.Instance) bool { return in.State == deploy.Running }) {
				t.Errorf("%s: a release is started while another one runs", letter)
			}
		}))
		w.run(w.push(letter))
	}
}

// TestUndoDrainsGreen: requests that it has got are not cut when it is removed.
func TestUndoDrainsGreen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	dep := w.push("b")
	w.deployer.Point = func(point string) {
		if point == "committing:before" {
			must(t, w.db.Cancel(t.Context(), dep.ID))
		}
	}
	if dep = w.run(dep); dep.Phase != db.PhaseCancelled {
		t.Errorf("it is %s", dep.Phase)
	}
	calls := w.router.Calls()
	back := slices.Index(calls, "drain "+host+" "+string(deploy.BuildGreenName("web", dep.ID)))
	if back < 0 || !strings.HasPrefix(calls[back-1], "upsert "+host) {
		t.Errorf("calls %q", calls)
	}
	w.serves("a")
}

// TestRecoveryRemovesNothingRouted: the proxy is asked again when everything was led elsewhere.
func TestRecoveryRemovesNothingRouted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	other := db.Release{ID: "tf-web-99", WorkloadID: w.workload.ID, Commit: "o", Port: 80}
	in, err := w.runtime.Start(t.Context(), other)
	must(t, err)
	rt := db.Route{WorkloadID: w.workload.ID, Host: host}
	var meddling atomic.Bool
	w.router.SetHook(deploytest.Record(func(point string) { // somebody else moves it back at once
		if point == "router.upsert:after" && meddling.CompareAndSwap(false, true) {
			must(t, w.router.Upsert(t.Context(), rt, in.Upstream))
		}
	}))
	w.pass()
	if now, err := w.runtime.Inspect(t.Context(), other.ID); err != nil || now.State != deploy.Running {
		t.Errorf("what is routed is %s (%v)", now.State, err)
	}
	w.pass()
	w.serves("a")
}

// TestRefusedHostKeepsNothingFromBeingRemoved, and the other hosts from nothing.
func TestRefusedHostKeepsNothingFromBeingRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	must2(t)(w.runtime.Start(t.Context(), db.Release{ID: "tf-web-99", WorkloadID: w.workload.ID, Commit: "o", Port: 80}))
	w.router.SetHook(deploytest.FailAt("router.upsert:before", errors.New("refused")))
	if err := w.recoverOnce(); err == nil {
		t.Error("the pass does not say so")
	}
	w.router.SetHook(nil)
	w.serves("a")
}

// TestWhatEndsAtOnceIsSaid: starting it was no error, and it does not run.
func TestWhatEndsAtOnceIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	dep := w.live("a")
	w.runtime.Serve(dep.Release.ID, nil)
	w.runtime.Exit(dep.Release.ID, 137)
	if err := w.recoverOnce(); err == nil || !strings.Contains(err.Error(), "it is exited, with exit code 1") {
		t.Errorf("the pass says %v", err)
	}
	w.answers(host, 503, "")
}

// deaf is a runtime of which a release takes no connections when it has been started again, until it was looked at twice.
type deaf struct {
	deploy.Runtime
	looks int
}

func (d *deaf) Start(ctx context.Context, r db.Release) (deploy.Instance, error) {
	in, err := d.Runtime.Start(ctx, r)
	d.looks = 2
	return d.hide(in), err
}

func (d *deaf) Inspect(ctx context.Context, id db.ReleaseID) (deploy.Instance, error) {
	in, err := d.Runtime.Inspect(ctx, id)
	return d.hide(in), err
}

func (d *deaf) hide(in deploy.Instance) deploy.Instance {
	if d.looks > 0 && in.Upstream.Addr != "" {
		d.looks--
		in.Upstream.Addr = "127.0.0.1:1"
	}
	return in
}

// TestNobodyIsLedToWhatDoesNotListenYet: neither by the recovery nor by an undo.
func TestNobodyIsLedToWhatDoesNotListenYet(t *testing.T) {
	t.Parallel()
	for _, undo := range []bool{false, true} {
		w := newWorld(t, "dockerfile", recreate)
		dep := w.live("a")
		w.deployer.Runtime = &deaf{Runtime: w.runtime}
		w.router.SetHook(deploytest.Record(func(string) {
			if up, _ := w.router.Current(t.Context(), db.Route{Host: host}); up.Addr == "127.0.0.1:1" {
				t.Errorf("undo %t: the route leads to what does not listen", undo)
			}
		}))
		if undo {
			w.run(w.push("z"))
		} else {
			w.runtime.Exit(dep.Release.ID, 1)
			w.pass()
		}
		w.serves("a")
	}
}

// TestRequestsInFlightEndBeforeWhatServesDoes, where it is stopped or changed in place.
func TestRequestsInFlightEndBeforeWhatServesDoes(t *testing.T) {
	t.Parallel()
	for name, point := range map[string]string{"recreate": "runtime.stop:before", "stack": "runtime.start:before"} {
		w := newWorld(t, kindOf(configs[name]), configs[name])
		w.live("a")
		before, seen := len(w.router.Calls()), false
		w.deployer.Runtime = w.runtime.With(deploytest.Record(func(at string) {
			if at != point || seen {
				return
			}
			seen = true
			if calls := w.router.Calls()[before:]; len(calls) != 2 || calls[0] != "hold "+host || calls[1] != "drain "+host+" tf-web-1" {
				t.Errorf("%s: %s after %q", name, at, calls)
			}
		}))
		w.live("b")
		if !seen {
			t.Errorf("%s: %s was not reached", name, point)
		}
	}
}
