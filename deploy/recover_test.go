package deploy_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// TestKilledAnywhere kills the process at every point of a deployment, of a good commit and of a bad one, and starts the
// next process: exactly one release runs, the route points to it, the row names it, and the deployment ends.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	for name, config := range configs {
		for _, commit := range []string{"b", "x"} {
			for _, apart := range []bool{false, true} { // whether the proxy survives
				t.Run(fmt.Sprintf("%s/%s/proxy apart %t", name, commit, apart), func(t *testing.T) {
					t.Parallel()
					killEverywhere(t, 8, killing{config: config, commit: commit, apart: apart})
				})
			}
		}
	}
}

// TestKilledBetweenHosts kills before and after each host is moved: none is left behind, whatever else the next process
// does first.
func TestKilledBetweenHosts(t *testing.T) {
	t.Parallel()
	hosts := db.Routing{Aliases: []string{"shop.example.com"}, Redirects: []string{"example.com"}}
	for name, config := range configs {
		for _, commit := range []string{"b", "x"} {
			for _, apart := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/proxy apart %t", name, commit, apart), func(t *testing.T) {
					t.Parallel()
					killEverywhere(t, 6, killing{config: config, commit: commit, apart: apart, routing: hosts, only: "router.upsert"})
				})
			}
		}
	}
}

// killing is the deployment of a commit, in which the process is killed.
type killing struct {
	config, commit string
	apart          bool // the proxy survives
	routing        db.Routing
	only           string // the points at which it is killed begin so
}

// killEverywhere kills at every point, of which there are some at least.
func killEverywhere(t *testing.T, least int, k killing) {
	t.Helper()
	points := 0
	for n := int64(1); killAt(t, k, n); n++ {
		points++
	}
	if points < least {
		t.Errorf("only %d points were reached", points)
	}
}

// killAt kills at the n-th point. It reports whether there is one.
func killAt(t *testing.T, k killing, n int64) (reached bool) {
	t.Helper()
	w := newWorld(t, kindOf(k.config), k.config)
	w.workload.Routing = k.routing
	must(t, w.db.SaveWorkload(t.Context(), &w.workload))
	w.live("a")

	var killed atomic.Bool
	var point atomic.Value
	kill, store, dead := deploytest.KillAt(n), w.db, make(chan struct{})
	hook := func(p string) error {
		if !killed.Load() && !strings.HasPrefix(p, k.only) {
			return nil
		}
		err := kill(p)
		if err != nil && killed.CompareAndSwap(false, true) {
			point.Store(p)
			_ = store.Close() // what is dead writes nothing
			close(dead)
		}
		return err
	}
	w.router.SetHook(hook)
	w.deployer.Runtime = w.runtime.With(hook)
	dep := w.push(k.commit)
	stop := w.runInBackground()
	alive := make(chan struct{})
	go func() { // the process lives on to the end of the deployment when there is no n-th point
		defer close(alive)
		for !killed.Load() {
			if d, err := store.Deployment(t.Context(), dep.ID); err == nil && d.Phase.Final() {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	select {
	case <-dead:
	case <-alive:
	}
	stop()
	<-alive
	if !killed.Load() {
		return false
	}

	old := w.router
	w.start(nil)
	if k.apart {
		old.SetHook(nil)
		w.router, w.deployer.Router = old, old
	}
	must2(t)(w.db.BreakLeases(t.Context()))
	must(t, deploy.NewRecovery(w.deployer).Pass(t.Context()))
	if got := w.router.Routes(); len(got) != len(w.workload.Hosts()) {
		t.Errorf("killed at %s: routes %v after the recovery", point.Load(), got)
	}
	dep = w.run(dep)
	must(t, deploy.NewRecovery(w.deployer).Pass(t.Context()))
	if want := map[string]string{"b": "b", "x": "a"}[k.commit]; true {
		w.serves(want)
	}
	if want := map[string]db.Phase{"b": db.PhaseLive, "x": db.PhaseFailed}[k.commit]; dep.Phase != want {
		t.Errorf("killed at %s: the deployment is %s: %s", point.Load(), dep.Phase, dep.Error)
	}
	if t.Failed() {
		t.Fatalf("killed at point %d, %s", n, point.Load())
	}
	return true
}

// TestKilledBeforeTheCommit: a process died after it had written committing down and before the transaction. Nothing is
// committed until the release has passed its gate again.
func TestKilledBeforeTheCommit(t *testing.T) {
	t.Parallel()
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, kindOf(config), config)
			w.live("a")
			w.workload.Config = []byte(strings.Replace(config, `"attempts":1`, `"attempts":1,"start_period":"1h"`, 1))
			must(t, w.db.SaveWorkload(t.Context(), &w.workload))
			dep := w.push("x")
			stop := w.runInBackground()
			w.await(dep.ID, func(d db.Deployment) bool { return d.Phase == db.PhaseGating })
			stop()
			dead, err := w.db.Claim(t.Context(), "dead", time.Minute)
			must(t, err)
			dead.Phase, dead.Release.Healthcheck.StartPeriod = db.PhaseCommitting, 0
			must(t, w.db.Save(t.Context(), dead))
			must(t, w.db.HandOver(t.Context(), dead))

			if dep = w.run(dep); dep.Phase != db.PhaseFailed {
				t.Errorf("phase %s", dep.Phase)
			}
			w.serves("a")
		})
	}
}

func TestRecoveryStartsWhatShouldRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	dep := w.live("a")
	w.runtime.Exit(dep.Release.ID, 137) // and its policy did not start it again
	w.router.Forget()
	must(t, deploy.NewRecovery(w.deployer).Pass(t.Context()))
	w.serves("a")
}

// TestRecoveryFollowsAddresses: a container that its policy started again has another address.
func TestRecoveryFollowsAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	dep := w.live("a")
	before, err := w.router.Current(t.Context(), db.Route{Host: host})
	must(t, err)
	moved := make(chan struct{}, 10)
	w.router.SetHook(deploytest.Record(func(point string) {
		if point == "router.upsert:after" {
			moved <- struct{}{}
		}
	}))
	w.deployer.Config.Reconcile = time.Hour
	stop := recoverInBackground(t, w)
	defer stop()
	w.runtime.Crash(dep.Release.ID, 1)
	<-moved
	w.serves("a")
	if now, _ := w.router.Current(t.Context(), db.Route{Host: host}); now.Addr == before.Addr {
		t.Error("the address did not change")
	}
}

func TestRecoveryMovesHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	dep := w.live("a")
	w.workload.Host = "new.example.com"
	must(t, w.db.SaveWorkload(t.Context(), &w.workload))
	must(t, deploy.NewRecovery(w.deployer).Pass(t.Context()))
	if got := w.router.Routes(); len(got) != 1 || got["new.example.com"] != string(dep.Release.ID) {
		t.Errorf("routes %v", got)
	}
	w.leaving()
}

func TestRecoveryTakesDeletedWorkloadsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	dep := w.live("a")
	must(t, w.db.MarkReported(t.Context(), db.CommitKey{RepositoryID: w.repo.ID, Commit: dep.Commit}, []db.Deployment{w.deployment(dep.ID)}))
	must(t, w.db.DeleteWorkload(t.Context(), w.workload.ID, false))
	must(t, deploy.NewRecovery(w.deployer).Pass(t.Context()))
	list, err := w.runtime.List(t.Context())
	if len(list) > 0 || len(w.router.Routes()) > 0 || err != nil {
		t.Errorf("left: releases %v, routes %v (%v)", list, w.router.Routes(), err)
	}
	if workloads, err := w.db.Workloads(t.Context()); len(workloads) > 0 || err != nil {
		t.Errorf("left: %v (%v)", workloads, err)
	}
}

func TestRecoveryRemovesOrphans(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	for _, orphan := range []db.Release{
		{ID: "tf-web-99", WorkloadID: w.workload.ID, Commit: "o", Port: 80},
		{ID: "tf-gone-7", WorkloadID: 4711, Commit: "o", Port: 80},
	} {
		must2(t)(w.runtime.Start(t.Context(), orphan))
	}
	must(t, deploy.NewRecovery(w.deployer).Pass(t.Context()))
	w.serves("a")
}

// TestRecoveryLeavesTheRunnerAlone makes passes all the time while releases take over from each other.
func TestRecoveryLeavesTheRunnerAlone(t *testing.T) {
	t.Parallel()
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, kindOf(config), config)
			w.live("a")
			w.deployer.Config.Reconcile = time.Millisecond
			stop := recoverInBackground(t, w)
			defer stop()
			for _, commit := range []string{"b", "c", "d"} {
				w.live(commit)
			}
			if dep := w.run(w.push("x")); dep.Phase != db.PhaseFailed {
				t.Errorf("phase %s", dep.Phase)
			}
			w.serves("d")
		})
	}
}

func TestNewWorkloadAnswers503(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	must(t, deploy.NewRecovery(w.deployer).Pass(t.Context()))
	if status, _ := w.router.Get(host, "/"); status != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", status)
	}
	w.live("a")
	if calls := w.router.Calls(); !slices.Contains(calls, "upsert "+host) {
		t.Errorf("calls %q", calls)
	}
}

func recoverInBackground(t *testing.T, w *world) (stop func()) {
	t.Helper()
	return inBackground(deploy.NewRecovery(w.deployer).Run)
}

// inBackground starts a loop. stop ends it.
func inBackground(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = run(ctx) }()
	return func() { cancel(); <-done }
}

func TestGivesUpAfterManyAttempts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	dep := w.push("b")
	for range 5 { // five processes that died without a word
		must2(t)(w.db.Claim(t.Context(), "dead", -time.Second))
	}
	dep = w.run(dep)
	if dep.Phase != db.PhaseFailed || !strings.Contains(dep.Error, "Given up after 5 attempts") {
		t.Errorf("%s: %q", dep.Phase, dep.Error)
	}
	w.serves("a")
}
