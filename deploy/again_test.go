package deploy_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy/deploytest"
)

func TestRollback(t *testing.T) {
	t.Parallel()
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, kindOf(config), config)
			first := w.live("a")
			if made := first.Release.Origin; !reflect.DeepEqual(made, w.workload.Origin()) {
				t.Errorf("made of %+v, want %+v", made, w.workload.Origin())
			}
			w.workload.Env = map[string]string{"NEW": "1"}
			must(t, w.db.SaveWorkload(t.Context(), &w.workload))
			w.live("b")
			built := len(w.builds.specs)
			back, err := w.db.QueueRollback(t.Context(), first.ID)
			must(t, err)
			back = w.run(back)
			if back.Phase != db.PhaseLive || back.Commit != first.Commit || string(back.Strategy) != name {
				t.Fatalf("rolled back to %s with %s: %s %s", back.Commit, back.Strategy, back.Phase, back.Error)
			}
			w.serves("a")
			if !reflect.DeepEqual(back.Release.Origin, first.Release.Origin) {
				t.Errorf("rolled back to what was made of %+v, want %+v", back.Release.Origin, first.Release.Origin)
			}
			if len(w.builds.specs) != built {
				t.Error("a rollback has built something")
			}
			w.live("c") // the next push goes on
			w.live("a") // and what was rolled back to can be pushed again
		})
	}
}

// TestRollbackKeepsTheReplicas: a scaling whose place a rollback takes is done by that, and one that fails leaves it to be done.
func TestRollbackKeepsTheReplicas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", strings.Replace(blueGreen, "{", `{"runtime":"swarm",`, 1))
	first := w.live("a")
	w.live("b")
	scaleTo(3)(w)
	back, err := w.db.QueueRollback(t.Context(), first.ID)
	must(t, err)
	if back = w.run(back); back.Phase != db.PhaseLive {
		t.Fatalf("%s: %s", back.Phase, back.Error)
	}
	w.serves("a")
	w.runs(back.Release.ID, back.Release.Replicas, 3)
	scale := scaleTo(2)(w)
	w.runtime.LoseImages(*first.Release)
	again, err := w.db.QueueRollback(t.Context(), first.ID)
	must(t, err)
	if again = w.run(again); again.Phase != db.PhaseFailed {
		t.Fatalf("%s: %s", again.Phase, again.Error)
	}
	stop := w.runInBackground()
	defer stop()
	w.await(again.ID+1, func(d db.Deployment) bool { return d.Cause == db.CauseScale && d.Phase == db.PhaseLive })
	w.runs(back.Release.ID, 2, 2)
	if got := w.deployment(scale.ID).Phase; got != db.PhaseSuperseded {
		t.Errorf("the first scaling is %s", got)
	}
}

// TestRollbackToWhatRunsAnotherNumberOfTimes: the config's number is of what the config would make.
func TestRollbackToWhatRunsAnotherNumberOfTimes(t *testing.T) {
	t.Parallel()
	onSwarm := func(more string) string { return strings.Replace(blueGreen, "{", `{"runtime":"swarm",`+more, 1) }
	for name, k := range map[string]struct {
		was, is string
		want    int
	}{
		"with a volume to write to": {strings.Replace(recreate, "{", `{"runtime":"swarm","constraints":["node.hostname==a"],"volumes":[{"name":"data","path":"/data"}],`, 1), onSwarm(`"replicas":3,`), 1},
		"on another runtime":        {onSwarm(`"replicas":5,`), blueGreen, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "dockerfile", k.was)
			first := w.live("a")
			w.workload.Config = []byte(k.is)
			must(t, w.db.SaveWorkload(t.Context(), &w.workload))
			w.live("b")
			back, err := w.db.QueueRollback(t.Context(), first.ID)
			must(t, err)
			if back = w.run(back); back.Phase != db.PhaseLive {
				t.Fatalf("%s: %s", back.Phase, back.Error)
			}
			if got := max(1, back.Release.Replicas); got != k.want {
				t.Errorf("it runs %d times, want %d", got, k.want)
			}
		})
	}
}

// TestScaleOfWhatCannot: the config has changed since what is live was made, and scales that no more.
func TestScaleOfWhatCannot(t *testing.T) {
	t.Parallel()
	onSwarm := func(config, more string) string { return strings.Replace(config, "{", `{"runtime":"swarm",`+more, 1) }
	for name, k := range map[string]struct {
		was, is string
		runs    int
		says    string
	}{
		"a volume to write to": {onSwarm(recreate, `"constraints":["node.hostname==a"],"volumes":[{"name":"data","path":"/data"}],`), onSwarm(blueGreen, `"replicas":3,`), 1, "writes to a volume"},
		"another runtime":      {onSwarm(blueGreen, `"replicas":3,`), blueGreen, 3, "names another runtime"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "dockerfile", k.was)
			live := w.live("a").Release
			w.workload.Config = []byte(k.is)
			must(t, w.db.SaveWorkload(t.Context(), &w.workload))
			scale, err := w.db.QueueScale(t.Context(), w.workload.ID)
			must(t, err)
			if scale = w.run(scale); scale.Phase != db.PhaseFailed || !strings.Contains(scale.Error, k.says) {
				t.Errorf("%s: %s", scale.Phase, scale.Error)
			}
			w.runs(live.ID, max(1, live.Replicas), k.runs)
		})
	}
}

func TestRollbackThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, kindOf(config), config)
			first := w.live("a")
			w.live("b")
			w.runtime.LoseImages(*first.Release)
			back, err := w.db.QueueRollback(t.Context(), first.ID)
			must(t, err)
			if back = w.run(back); back.Phase != db.PhaseFailed || !strings.Contains(back.Error, "was removed") {
				t.Errorf("%s: %s", back.Phase, back.Error)
			}
			w.serves("b")
		})
	}
}

func TestWhatCannotBeRolledBackTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	failed := w.run(w.push("x"))
	live := w.live("b")
	for id, want := range map[int64]string{failed.ID: "was never live", live.ID: "is live"} {
		if _, err := w.db.QueueRollback(t.Context(), id); !errors.Is(err, db.ErrNoRollback) || !strings.Contains(err.Error(), want) {
			t.Errorf("rollback to %d: %v, want it to say that it %s", id, err, want)
		}
	}
	if _, err := w.db.QueueRollback(t.Context(), 999); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("rollback to nothing: %v", err)
	}
}

func TestRedeployOfTheCommitThatIsLive(t *testing.T) {
	t.Parallel()
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, kindOf(config), config)
			first := w.live("a")
			again, err := w.db.QueueRedeploy(t.Context(), first.ID)
			must(t, err)
			if again = w.run(again); again.Phase != db.PhaseLive || again.Release.ID == first.Release.ID {
				t.Fatalf("redeployed as %v: %s %s", again.Release, again.Phase, again.Error)
			}
			w.serves("a")
			if got := w.deployment(first.ID).Phase; got != db.PhaseRetired {
				t.Errorf("the first deployment is %s", got)
			}
		})
	}
}

// TestCancel cancels a deployment at every point of every phase, before and after each effect.
func TestCancel(t *testing.T) {
	t.Parallel()
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			points := map[string]bool{}
			w := newWorld(t, kindOf(config), config)
			w.live("a")
			hook(w, deploytest.Record(func(point string) { points[point] = true }))
			w.run(w.push("b"))
			for point := range points {
				t.Run(point, func(t *testing.T) { cancelAt(t, config, point) })
			}
		})
	}
}

func cancelAt(t *testing.T, config, point string) {
	w := newWorld(t, kindOf(config), config)
	w.live("a")
	dep := w.push("b")
	var answer error
	asked := false
	hook(w, deploytest.Record(func(at string) {
		if at == point && !asked {
			asked = true
			answer = w.db.Cancel(t.Context(), dep.ID)
		}
	}))
	dep = w.run(dep)
	switch {
	case !asked:
		t.Fatal("the point was not reached")
	case answer == nil && dep.Phase == db.PhaseCancelled:
		if dep.Error != "Cancelled; the previous release still serves" || dep.Status != db.StatusFailure {
			t.Errorf("status %s, error %q", dep.Status, dep.Error)
		}
		w.serves("a")
	case errors.Is(answer, db.ErrTooLate) && dep.Phase == db.PhaseLive:
		w.serves("b")
	default:
		t.Errorf("Cancel answered %v, and the deployment is %s: %s", answer, dep.Phase, dep.Error)
	}
	w.live("c")
}

func hook(w *world, h deploytest.Hook) {
	w.router.SetHook(h)
	w.deployer.Runtime = w.runtime.With(h)
}

func TestCancelWhileBuilding(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	w.builds.wait = make(chan struct{}) // for ever
	dep := w.push("b")
	stop := w.runInBackground()
	defer stop()
	w.await(dep.ID, func(d db.Deployment) bool { return d.Phase == db.PhaseBuilding })
	must(t, w.db.Cancel(t.Context(), dep.ID))
	dep = w.await(dep.ID, func(d db.Deployment) bool { return d.Phase.Final() })
	if dep.Phase != db.PhaseCancelled {
		t.Errorf("%s: %s", dep.Phase, dep.Error)
	}
	w.serves("a")
	if err := w.db.Cancel(t.Context(), dep.ID); !errors.Is(err, db.ErrTooLate) {
		t.Errorf("cancelled twice: %v", err)
	}
}

func TestCancelledByAProcessThatDied(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", recreate)
	w.live("a")
	dep := w.push("b")
	claimed, err := w.db.Claim(t.Context(), "dead", 1)
	must(t, err)
	claimed.Phase, claimed.Strategy = db.PhaseStarting, db.Recreate
	claimed.Release = &db.Release{ID: "tf-web-2", WorkloadID: w.workload.ID, DeploymentID: dep.ID}
	must(t, w.db.Save(t.Context(), claimed))
	must(t, w.db.Cancel(t.Context(), dep.ID))
	if dep = w.run(dep); dep.Phase != db.PhaseCancelled {
		t.Errorf("%s: %s", dep.Phase, dep.Error)
	}
	w.serves("a")
}

func TestCancelWhileQueued(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	dep := w.push("b")
	must(t, w.db.Cancel(t.Context(), dep.ID))
	if dep = w.deployment(dep.ID); dep.Phase != db.PhaseCancelled || dep.FinishedAt.IsZero() {
		t.Errorf("%s, finished at %s", dep.Phase, dep.FinishedAt)
	}
	w.serves("a")
}
