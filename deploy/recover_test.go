package deploy_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

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

// unscaled is a world in which what is live runs more often than its row says, as the undo of a scaling leaves it that is not finished.
func unscaled(t *testing.T, address string) *world {
	t.Helper()
	w := newWorldIn(t, address, "dockerfile", blueGreen)
	dep := w.live("a")
	more := *dep.Release
	more.Replicas = 3
	must2(t)(w.runtime.Start(t.Context(), more))
	return w
}

// TestRecoveryFinishesTheUndoOfAScaling, wherever it is killed meanwhile.
func TestRecoveryFinishesTheUndoOfAScaling(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"in the process", "apart", "npm"} {
		for n, more := 1, true; more && !t.Failed(); n++ {
			w := unscaled(t, migratedCopy(t))
			w.router.NoHold, w.router.Blind = routers[kind].noHold, routers[kind].blind
			more = newVictim(n).passes(w)
			w.next(routers[kind].apart)
			w.pass()
			w.whole("a")
			state, err := w.db.RuntimeState(t.Context(), w.workload.ID)
			must(t, err)
			w.runs(state.ReleaseID, max(1, state.Release.Replicas), 1)
		}
	}
}

// TestRecoveryRemovesBesideWhatRunsOtherwise: what serves, though not as often as it is to, keeps no other release.
func TestRecoveryRemovesBesideWhatRunsOtherwise(t *testing.T) {
	t.Parallel()
	w := unscaled(t, migratedCopy(t))
	other := db.Release{ID: "tf-web-9", WorkloadID: w.workload.ID, Workload: "web", DeploymentID: 9, Commit: strings.Repeat("b", 40)}
	must2(t)(w.runtime.Start(t.Context(), other))
	w.deployer.Runtime = w.runtime.With(deploytest.FailAt("runtime.start:before", errors.New("no suitable node")))
	if err := w.recoverOnce(); err == nil || !strings.Contains(err.Error(), "no suitable node") {
		t.Errorf("the pass says %v", err)
	}
	if in, err := w.runtime.Inspect(t.Context(), other.ID); err != nil || in.State != deploy.Missing {
		t.Errorf("the other one is %s (%v)", in.State, err)
	}
	w.serves("a")
}

// TestRecoveryLeavesAScalingAlone: while a deployment is in progress, nobody knows whether it is scaled on purpose.
func TestRecoveryLeavesAScalingAlone(t *testing.T) {
	t.Parallel()
	w := unscaled(t, migratedCopy(t))
	dep := scaleTo(3)(w)
	must2(t)(w.db.Claim(t.Context(), "dead", time.Minute))
	w.pass()
	in, err := w.runtime.Inspect(t.Context(), w.deployment(dep.ID-1).Release.ID)
	must(t, err)
	if in.Replicas != 3 || len(in.Upstream.Addrs()) != 3 {
		t.Errorf("it is %+v", in)
	}
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

// TestManyAttemptsTurnNothingRound: what is committed goes forward, and what is undone is undone for its own reason.
func TestManyAttemptsTurnNothingRound(t *testing.T) {
	t.Parallel()
	for phase, ends := range map[db.Phase]db.Phase{db.PhaseDraining: db.PhaseLive, db.PhaseReaping: db.PhaseLive, db.PhaseUndoing: db.PhaseFailed} {
		w := newWorld(t, "dockerfile", blueGreen)
		w.live("a")
		dep := w.run(w.abandoned("b", phase))
		if dep.Phase != ends || strings.Contains(dep.Error, "Given up") || phase == db.PhaseUndoing && !strings.Contains(dep.Error, "its reason") {
			t.Errorf("what was %s is %s: %q", phase, dep.Phase, dep.Error)
		}
		w.serves(map[bool]string{true: "b", false: "a"}[phase.Committed()])
	}
}

// abandoned is a deployment that five processes have had, of which the last one died in a phase.
func (w *world) abandoned(letter string, phase db.Phase) db.Deployment {
	w.t.Helper()
	queued := w.push(letter)
	var dep *db.Deployment
	for range 5 {
		var err error
		dep, err = w.db.Claim(w.t.Context(), "dead", -time.Second)
		must(w.t, err)
	}
	dep.Strategy, dep.Phase, dep.Error = db.BlueGreen, phase, ""
	dep.Release = &db.Release{ID: deploy.BuildGreenName(w.workload.Name, dep.ID), WorkloadID: w.workload.ID, Workload: w.workload.Name,
		DeploymentID: dep.ID, Commit: queued.Commit, Port: 80}
	in, err := w.runtime.Start(w.t.Context(), *dep.Release)
	must(w.t, err)
	must(w.t, w.router.Upsert(w.t.Context(), db.Route{WorkloadID: w.workload.ID, Host: host}, in.Upstream))
	if !phase.Committed() {
		dep.Error = "its reason"
		must(w.t, w.db.Save(w.t.Context(), dep))
		return *dep
	}
	must(w.t, w.db.Commit(w.t.Context(), dep, db.RuntimeState{WorkloadID: w.workload.ID, DeploymentID: dep.ID, ReleaseID: dep.Release.ID,
		Commit: dep.Commit, Release: *dep.Release}))
	return *dep
}

// TestRecoveryHealsSeveralAtATime: one that takes long to start keeps no other one down. Here each start waits for the other.
func TestRecoveryHealsSeveralAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	web := w.live("a")
	_, api := w.second("api", "api.example.com", "b")
	w.runtime.Exit(web.Release.ID, 137)
	w.runtime.Exit(api.Release.ID, 137)
	var both sync.WaitGroup
	both.Add(2)
	w.deployer.Runtime = w.runtime.With(deploytest.Record(func(point string) {
		if point == "runtime.start:before" {
			both.Done()
			both.Wait()
		}
	}))
	w.pass()
	w.routesAre(map[string]db.Deployment{host: web, "api.example.com": api})
}
