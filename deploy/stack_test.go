package deploy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// TestStackHoldsRequests sends a request while the stack is changed.
func TestStackHoldsRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "compose", stacked)
	w.live("a")
	answer := make(chan string, 1)
	w.deployer.Runtime = w.runtime.With(deploytest.Record(func(point string) {
		if point == "runtime.start:before" {
			go func() { _, body := w.router.Get(host, "/"); answer <- body }()
		}
	}))
	w.live("b")
	if got := <-answer; got != "b" {
		t.Errorf("the request in between got %q, want green's answer", got)
	}
	if calls := w.router.Calls(); !slices.Contains(calls, "hold "+host) {
		t.Errorf("calls %q", calls)
	}
}

// TestStackUndoStartsBlue, though it runs: the stack may be half changed.
func TestStackUndoStartsBlue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "compose", stacked)
	w.live("a")
	starts := 0
	w.deployer.Runtime = w.runtime.With(deploytest.Chain(
		deploytest.Record(func(point string) {
			if point == "runtime.start:after" {
				starts++
			}
		}),
		deploytest.FailOnce("runtime.start:before", &deploy.Failure{Text: "Service db is unhealthy"})))
	dep := w.run(w.push("b"))
	if dep.Phase != db.PhaseFailed || dep.Error != "Service db is unhealthy; the previous release still serves" || starts != 1 {
		t.Errorf("%s: %q, blue was started %d times", dep.Phase, dep.Error, starts)
	}
	w.serves("a")
}

// TestStackThatIsRefusedTouchesNothing: what fails before anything was changed starts and removes nothing.
func TestStackThatIsRefusedTouchesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "compose", stacked)
	w.live("a")
	w.builds.err = &deploy.Failure{Text: "The stack cannot be deployed: service web: privileged is refused"}
	w.deployer.Runtime = w.runtime.With(deploytest.Record(func(point string) {
		if strings.HasPrefix(point, "runtime.start") {
			t.Errorf("at %s", point)
		}
	}))
	if dep := w.run(w.push("b")); dep.Phase != db.PhaseFailed || !strings.HasPrefix(dep.Error, w.builds.err.Error()) {
		t.Errorf("%s: %q", dep.Phase, dep.Error)
	}
	w.serves("a")
}

// TestSourceBecomesStack, and one container again: each takes over from the other, and a failure gives back to it.
func TestSourceBecomesStack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	for _, next := range []struct{ kind, config, bad, good string }{
		{"compose", stacked, "x", "b"}, {"dockerfile", recreate, "x", "c"}, {"compose", stacked, "x", "d"}, {"dockerfile", blueGreen, "x", "e"},
	} {
		before, err := w.db.RuntimeState(t.Context(), w.workload.ID)
		must(t, err)
		w.workload.Source, w.workload.Config = next.kind, []byte(next.config)
		must(t, w.db.SaveWorkload(t.Context(), &w.workload))
		if dep := w.run(w.push(next.bad)); dep.Phase != db.PhaseFailed {
			t.Errorf("phase %s", dep.Phase)
		}
		w.serves(before.Commit[:1])
		w.live(next.good)
	}
}

func TestTakeDownWithVolumes(t *testing.T) {
	t.Parallel()
	const config = `{"deploy_strategy":"recreate","volumes":[{"name":"data","path":"/data"}]}`
	for _, volumesToo := range []bool{false, true} {
		w := newWorld(t, "dockerfile", config)
		dep := w.live("a")
		must(t, w.db.MarkReported(t.Context(), db.CommitKey{RepositoryID: w.repo.ID, Commit: dep.Commit}, []db.Deployment{w.deployment(dep.ID)}))
		must(t, w.db.DeleteWorkload(t.Context(), w.workload.ID, volumesToo))
		broken := errors.New("in use")
		w.deployer.Runtime = w.runtime.With(deploytest.FailOnce("runtime.volumes:before", broken))
		recovery := deploy.NewRecovery(w.deployer)
		if err := recovery.Pass(t.Context()); errors.Is(err, broken) != volumesToo {
			t.Errorf("volumes too %t: %v", volumesToo, err)
		}
		must(t, recovery.Pass(t.Context()))
		if got := w.runtime.Volumes(); slices.Equal(got, []string{"web/data"}) == volumesToo {
			t.Errorf("volumes too %t: left %q", volumesToo, got)
		}
		if workloads, err := w.db.Workloads(t.Context()); len(workloads) > 0 || err != nil {
			t.Errorf("left: %v (%v)", workloads, err)
		}
	}
}
