package deploy_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

const (
	blueGreen = `{"deploy_strategy":"blue-green","healthcheck":{"path":"/up","interval":"100ms","attempts":1}}`
	recreate  = `{"deploy_strategy":"recreate","healthcheck":{"path":"/up","interval":"100ms","attempts":1}}`
	stacked   = `{"service":"web","healthcheck":{"path":"/up","interval":"100ms","attempts":1}}`
	unchecked = `{"deploy_strategy":"blue-green"}`
)

var configs = map[string]string{"blue-green": blueGreen, "recreate": recreate, "stack": stacked}

// kindOf is the source kind that a config of these tests is for.
func kindOf(config string) string {
	if config == stacked {
		return "compose"
	}
	return "dockerfile"
}

// TestStrategies is the main job: first release, redeploy, failed deploy, redeploy.
func TestStrategies(t *testing.T) {
	t.Parallel()
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, kindOf(config), config)
			first := w.live("a")
			second := w.live("b")
			before := w.deployment(first.ID)
			if before.Phase != db.PhaseRetired {
				t.Errorf("the first deployment is %s, want retired", before.Phase)
			}
			if before.Message != "Say hello" || before.Author != "Ann" {
				t.Errorf("nobody told of the commit, and the deployment has %q of %q, want what was fetched", before.Message, before.Author)
			}
			failed := w.run(w.push("x"))
			if failed.Phase != db.PhaseFailed {
				t.Errorf("a release that never gets ready is %s", failed.Phase)
			}
			if want := "Gate failed: GET /up answered 500 for "; !strings.HasPrefix(failed.Error, want) || !strings.HasSuffix(failed.Error, "; the previous release still serves") {
				t.Errorf("error %q, want %q...", failed.Error, want)
			}
			w.serves("b")
			if got := w.deployment(second.ID).Phase; got != db.PhaseLive {
				t.Errorf("the deployment that serves is %s, want live", got)
			}
			w.live("c")
		})
	}
}

func TestS6_GreenHasANameOfItsOwn(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("w", 40)
	label := regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	if name := deploy.BuildGreenName(long, 1<<53); !label.MatchString(string(name)) {
		t.Errorf("%q is not a DNS label", name)
	}
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	dep := w.push("b")
	green := deploy.BuildGreenName("web", dep.ID)
	w.router.SetHook(deploytest.Record(func(point string) {
		list, _ := w.runtime.List(t.Context())
		if point == "router.upsert:before" && (len(list) != 2 || list[0].State != deploy.Running || list[1].State != deploy.Running) {
			t.Errorf("when the route moves, blue and green must both run: %+v", list)
		}
	}))
	w.run(dep)
	if got := w.router.Routes()[host]; got != string(green) {
		t.Errorf("the route's forward host is %q, want the container's name %q", got, green)
	}
}

func TestS7_GreenIsGated(t *testing.T) {
	t.Parallel()
	t.Run("without a healthcheck it must stay up", func(t *testing.T) {
		w := newWorld(t, "dockerfile", unchecked)
		w.live("a")
		w.deployer.Config.Liveness = 10 * time.Second
		dep := w.push("b")
		stop := w.runInBackground()
		w.await(dep.ID, func(d db.Deployment) bool { return d.Phase == db.PhaseGating })
		w.runtime.Print(deploy.BuildGreenName("web", dep.ID), "panic: no database")
		w.runtime.Exit(deploy.BuildGreenName("web", dep.ID), 3)
		dep = w.await(dep.ID, func(d db.Deployment) bool { return d.Phase.Final() })
		stop()
		if want := "Gate failed: the container ended with exit code 3"; !strings.HasPrefix(dep.Error, want) {
			t.Errorf("error %q, want %q", dep.Error, want)
		}
		if !strings.Contains(dep.Tail, "panic: no database") {
			t.Errorf("the last log lines are not kept: %q", dep.Tail)
		}
		w.serves("a")
	})
	t.Run("a restart by its policy is not staying up", func(t *testing.T) {
		w := newWorld(t, "dockerfile", unchecked)
		w.deployer.Config.Liveness = 10 * time.Second
		dep := w.push("a")
		stop := w.runInBackground()
		w.await(dep.ID, func(d db.Deployment) bool { return d.Phase == db.PhaseGating })
		w.runtime.Crash(deploy.BuildGreenName("web", dep.ID), 1)
		dep = w.await(dep.ID, func(d db.Deployment) bool { return d.Phase.Final() })
		stop()
		if dep.Phase != db.PhaseFailed || !strings.Contains(dep.Error, "had to be restarted") {
			t.Errorf("%s: %q", dep.Phase, dep.Error)
		}
	})
}

func TestS8_TheRouteIsUpserted(t *testing.T) {
	t.Parallel()
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, kindOf(config), config)
			w.live("a")
			w.live("b")
			w.run(w.push("x"))
			if i := slices.IndexFunc(w.router.Calls(), func(c string) bool { return strings.HasPrefix(c, "delete") }); i >= 0 {
				t.Errorf("a route was deleted: %q", w.router.Calls())
			}
		})
	}
}

// TestS9_RowBeforeReap looks at the row whenever a release is removed: it must name another one that runs.
func TestS9_RowBeforeReap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	removed := 0
	w.deployer.Runtime = w.runtime.With(deploytest.Record(func(point string) {
		if point != "runtime.remove:before" {
			return
		}
		removed++
		state, err := w.db.RuntimeState(t.Context(), w.workload.ID)
		if err != nil || state.Commit[:1] != "b" {
			t.Errorf("blue is removed while the row names %s (%v)", state.ReleaseID, err)
		}
	}))
	w.live("b")
	if removed != 1 {
		t.Errorf("%d releases were removed, want 1", removed)
	}
}

func TestS10_ImageHonoursRecreate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "image", `{"image":"registry.test/web:1","deploy_strategy":"recreate","healthcheck":{"path":"/up","interval":"100ms","attempts":1}}`)
	w.live("a")
	var points []string
	w.deployer.Runtime = w.runtime.With(deploytest.Record(func(point string) {
		points = append(points, fmt.Sprintf("%s after %d pulls", point, len(w.builds.pulls)))
	}))
	w.live("b")
	want := []string{
		"runtime.stop:before after 2 pulls", "runtime.stop:after after 2 pulls",
		"runtime.start:before after 2 pulls", "runtime.start:after after 2 pulls",
		"runtime.remove:before after 2 pulls", "runtime.remove:after after 2 pulls",
	}
	if !slices.Equal(points, want) {
		t.Errorf("got  %q\nwant %q", points, want)
	}
	dep := w.run(w.push("x")) // blue was stopped and kept
	if dep.Phase != db.PhaseFailed {
		t.Errorf("phase %s", dep.Phase)
	}
	w.serves("b")
}

// TestRecreateHoldsRequests sends a request while nothing runs.
func TestRecreateHoldsRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", recreate)
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
}

func TestEveryStepMayFail(t *testing.T) {
	t.Parallel()
	points := []string{"runtime.start:before", "runtime.start:after", "router.upsert:before", "router.upsert:after"}
	for name, config := range configs {
		for _, point := range points {
			t.Run(name+" "+point, func(t *testing.T) {
				w := newWorld(t, kindOf(config), config)
				w.live("a")
				hook := deploytest.FailOnce(point, &deploy.Failure{Text: "No space left on the disk"})
				w.router.SetHook(hook)
				w.deployer.Runtime = w.runtime.With(hook)
				dep := w.run(w.push("b"))
				if dep.Phase != db.PhaseFailed || dep.Error != "No space left on the disk; the previous release still serves" {
					t.Errorf("%s: %q", dep.Phase, dep.Error)
				}
				w.serves("a")
				w.live("c")
			})
		}
	}
}

func TestBuildFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	w.builds.err = &deploy.Failure{Text: "Build failed: RUN make exited with 2"}
	dep := w.run(w.push("b"))
	if dep.Phase != db.PhaseFailed || !strings.HasPrefix(dep.Error, "Build failed: RUN make exited with 2") {
		t.Errorf("%s: %q", dep.Phase, dep.Error)
	}
	if log := w.logText(dep.ID); !strings.Contains(log, "building: step 1\nbuilding: step 2 of ") {
		t.Errorf("the build's log is not kept: %q", log)
	}
	w.serves("a")
}

// TestEndlessBuild: a build that never ends does not keep its workload, or a worker, for ever.
func TestEndlessBuild(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	w.deployer.Config.Build = 50 * time.Millisecond
	w.builds.wait = make(chan struct{})
	dep := w.run(w.push("b"))
	if dep.Phase != db.PhaseFailed || !strings.HasPrefix(dep.Error, "Given up: building took longer than 50ms") {
		t.Errorf("%s: %q", dep.Phase, dep.Error)
	}
	w.serves("a")
}

func TestInternalErrorsAreNotShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.builds.err = errors.New("token hunter2 is wrong")
	dep := w.run(w.push("a"))
	if strings.Contains(dep.Error+w.logText(dep.ID), "hunter2") || !strings.Contains(dep.Error, "Internal error while building") {
		t.Errorf("error %q", dep.Error)
	}
}

// TestRuntimeGone: Docker ends in the middle and stays away longer than the undo is patient.
func TestRuntimeGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", recreate)
	w.live("a")
	gone := &deploy.Failure{Text: "Docker is not reachable"}
	w.deployer.Runtime = w.runtime.With(func(point string) error {
		if point == "runtime.start:before" {
			return gone
		}
		return nil
	})
	dep := w.run(w.push("b"))
	if dep.Phase != db.PhaseFailed || dep.Error != gone.Text || !strings.Contains(w.logText(dep.ID), "Undoing it is not finished") {
		t.Errorf("%s: %q, log %s", dep.Phase, dep.Error, w.logText(dep.ID))
	}
	w.deployer.Runtime = w.runtime // it is back
	must(t, deploy.NewRecovery(w.deployer).Pass(t.Context()))
	w.serves("a")
}

func TestS13_UnchangedCommitIsSkipped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	w.builds.wait = make(chan struct{})
	w.builds.err = &deploy.Failure{Text: "no"}
	stop := w.runInBackground()
	defer stop()
	b := w.push("b")
	w.await(b.ID, func(d db.Deployment) bool { return d.Phase == db.PhaseBuilding })
	again := w.push("a") // b is on its way, so a cannot be refused yet
	close(w.builds.wait)
	dep := w.await(again.ID, func(d db.Deployment) bool { return d.Phase.Final() })
	if dep.Phase != db.PhaseSkipped || dep.Status != db.StatusSuccess {
		t.Errorf("phase %s, status %s", dep.Phase, dep.Status)
	}
	w.serves("a")
}

func TestShutdownHandsOver(t *testing.T) {
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
			left := w.deployment(dep.ID)
			if left.Phase != db.PhaseGating || left.LeaseOwner != "" || left.Attempt != 0 {
				t.Fatalf("after a shutdown: %+v", left)
			}
			w.runtime.Serve(left.Release.ID, w.app(db.Release{Commit: "ready"})) // it gets ready at last
			if dep = w.run(dep); dep.Phase != db.PhaseLive {
				t.Errorf("after the hand-over: %s: %s", dep.Phase, dep.Error)
			}
		})
	}
}

func TestOneDeploymentPerWorkload(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.builds.wait = make(chan struct{})
	stop := w.runInBackground()
	defer stop()
	first := w.push("a")
	w.await(first.ID, func(d db.Deployment) bool { return d.Phase == db.PhaseBuilding })
	var last db.Deployment
	for i := range 50 {
		last = w.push(string(rune('b' + i%5)))
	}
	close(w.builds.wait)
	w.await(last.ID, func(d db.Deployment) bool { return d.Phase == db.PhaseLive })
	if n := len(w.builds.specs); n != 2 {
		t.Errorf("51 pushes were %d builds, want 2", n)
	}
	w.await(first.ID, func(d db.Deployment) bool { return d.Phase == db.PhaseRetired })
	w.serves(last.Commit[:1])
}
