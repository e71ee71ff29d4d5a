package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

func TestRoomBeforeABuild(t *testing.T) {
	t.Parallel()
	const wanted = 1 << 30 // the default
	tests := map[string]struct {
		disk  *deploytest.Disk
		calls []string
		fails bool
	}{
		"enough":               {deploytest.NewDisk(wanted), nil, false},
		"unknown":              {&deploytest.Disk{Unknown: true}, nil, false},
		"images are removed":   {&deploytest.Disk{ByImages: wanted, ByCache: wanted}, []string{"images"}, false},
		"the cache goes too":   {&deploytest.Disk{ByImages: wanted - 1, ByCache: 1}, []string{"images", "cache"}, false},
		"nothing helps":        {&deploytest.Disk{ByImages: 1 << 20, ByCache: 1 << 20}, []string{"images", "cache"}, true},
		"nothing can be freed": {&deploytest.Disk{ByImages: wanted, Untouched: errors.New("docker is busy")}, []string{"images", "cache"}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "dockerfile", blueGreen)
			w.live("a")
			built := len(w.builds.specs)
			w.deployer.Images = tt.disk
			dep := w.run(w.push("b"))
			if calls := tt.disk.Calls(); !slices.Equal(calls, tt.calls) {
				t.Errorf("pruned %q, want %q", calls, tt.calls)
			}
			if !tt.fails {
				w.serves("b")
				return
			}
			if dep.Phase != db.PhaseFailed || !strings.Contains(dep.Error, "are free on the disk of Docker, and 1GiB are wanted") || len(w.builds.specs) != built {
				t.Errorf("%s: %s, %d builds", dep.Phase, dep.Error, len(w.builds.specs)-built)
			}
			w.serves("a")
		})
	}
}

// TestRoomForACheckout: the folder of the checkouts is on a small disk of its own.
func TestRoomForACheckout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	small := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", small).CombinedOutput(); err != nil {
		t.Logf("no small disk can be mounted (%v: %s): a large demand does it too", err, out)
		w.deployer.Config.MinFree = 1 << 60
		w.deployer.Images = &deploytest.Disk{Unknown: true}
	} else {
		t.Cleanup(func() { _ = exec.Command("umount", small).Run() })
		w.deployer.Config.Workspace = small
	}
	dep := w.run(w.push("b"))
	if dep.Phase != db.PhaseFailed || !strings.Contains(dep.Error, "are wanted for a checkout: free some space, then redeploy") {
		t.Errorf("%s: %s", dep.Phase, dep.Error)
	}
	w.serves("a")
}

// TestNoRoomForACheckoutThatNobodyMakes: a source without files does not need the disk of the checkouts.
func TestNoRoomForACheckoutThatNobodyMakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "image", `{"image":"web:{{.ShortCommit}}","healthcheck":{"path":"/up","interval":"100ms"}}`)
	w.deployer.Config.MinFree = 1 << 60
	w.deployer.Images = &deploytest.Disk{Unknown: true}
	w.live("a")
}

// TestWhatTheJanitorKeeps: the last three good releases, and whatever is not finished.
func TestWhatTheJanitorKeeps(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	var good []string
	for _, letter := range []string{"a", "b", "x", "c", "d", "x"} {
		dep := w.run(w.push(letter))
		if dep.Phase == db.PhaseLive {
			good = append(good, string(deploy.BuildGreenName("web", dep.ID)))
		}
	}
	back, err := w.db.QueueRollback(t.Context(), 1)
	must(t, err)
	must(t, deploy.NewJanitor(w.deployer).Pass(t.Context()))
	var names []string
	for _, id := range w.disk.Kept().Releases {
		names = append(names, string(id))
	}
	slices.Sort(names)
	// The first is kept because a rollback to it waits.
	want := append(slices.Clone(good), fmt.Sprintf("tf-web-%d", back.ID))
	if names = slices.Compact(names); !slices.Equal(names, want) {
		t.Errorf("kept %q, want %q", names, want)
	}
	must(t, w.db.Cancel(t.Context(), back.ID))
	must(t, deploy.NewJanitor(w.deployer).Pass(t.Context()))
	if slices.Contains(w.disk.Kept().Releases, "tf-web-1") {
		t.Error("the fourth last good release is kept")
	}
}

// TestManyFailuresForgetNothing: what can be rolled back to is, however often a workload has failed since.
func TestManyFailuresForgetNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	var good []db.ReleaseID
	for _, letter := range []string{"a", "b", "c", "d"} {
		good = append(good, deploy.BuildGreenName("web", w.live(letter).ID))
	}
	w.builds.err = &deploy.Failure{Text: "Build failed: no such file"}
	for range 100 {
		if dep := w.run(w.push("e")); dep.Phase != db.PhaseFailed {
			t.Fatalf("it is %s", dep.Phase)
		}
	}
	must(t, deploy.NewJanitor(w.deployer).Pass(t.Context()))
	kept := w.disk.Kept().Releases
	slices.Sort(kept)
	if kept = slices.Compact(kept); !slices.Equal(kept, good[1:]) {
		t.Errorf("kept %q, want %q", kept, good[1:])
	}
}

// TestWhatIsBeingBuiltIsKept: before a row names its images, they are known by their release and by when they were pulled.
func TestWhatIsBeingBuiltIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.builds.wait = make(chan struct{})
	stop := w.runInBackground()
	defer stop()
	begun := time.Now()
	dep := w.push("a")
	poll(t, "a build begins", func() bool {
		w.builds.mu.Lock()
		defer w.builds.mu.Unlock()
		return len(w.builds.specs) == 1
	})
	must(t, deploy.NewJanitor(w.deployer).Pass(t.Context()))
	kept, spec := w.disk.Kept(), w.builds.specs[0]
	if of := []db.ReleaseID{db.ReleaseID(spec.Labels["tinyforge.release"])}; !slices.Equal(kept.Releases, of) || !slices.Equal(kept.Begun, of) {
		t.Errorf("kept %q while %q is built", kept.Releases, spec.Tag)
	}
	if started := w.deployment(dep.ID).StartedAt; !kept.Since.Equal(started) || started.Before(begun.Add(-time.Second)) {
		t.Errorf("kept is what was pulled since %s, and it began at %s", kept.Since, started)
	}
	if begin := fmt.Sprintf("tinyforge/web:%d-", dep.ID); !strings.HasPrefix(spec.Tag, begin) || len(spec.Tag) != len(begin)+32 {
		t.Errorf("%q is built, whose name can be guessed", spec.Tag)
	}
	close(w.builds.wait)
	w.await(dep.ID, func(d db.Deployment) bool { return d.Phase.Final() })
	must(t, deploy.NewJanitor(w.deployer).Pass(t.Context()))
	if kept := w.disk.Kept(); !kept.Since.After(w.deployment(dep.ID).StartedAt) {
		t.Errorf("afterwards kept are %+v", kept)
	}
}

// TestOldLogsGo: and nothing else of the deployments does.
func TestOldLogsGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	first, second := w.live("a"), w.live("b")
	w.deployer.Config.KeepLogs = time.Hour
	must(t, deploy.NewJanitor(w.deployer).Pass(t.Context()))
	if w.logText(first.ID) == "" {
		t.Error("a log of just now is gone")
	}
	w.deployer.Limits = func(context.Context) (deploy.Limits, error) {
		return deploy.Limits{KeepReleases: 3, KeepLogs: 1, MinFree: 1}, nil
	}
	must(t, deploy.NewJanitor(w.deployer).Pass(t.Context()))
	if got := w.logText(first.ID); got != "" {
		t.Errorf("an old log is still there: %s", got)
	}
	if w.logText(second.ID) == "" || w.deployment(first.ID).Phase != db.PhaseRetired {
		t.Error("more than old logs is gone")
	}
}

func TestJanitorIsWokenByDeployments(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.deployer.Config.Tidy = 1
	stop := inBackground(deploy.NewJanitor(w.deployer).Run)
	defer stop()
	dep := w.live("a")
	poll(t, "the janitor has seen the deployment", func() bool {
		return slices.Contains(w.disk.Kept().Releases, deploy.BuildGreenName("web", dep.ID))
	})
}

// poll waits for what sends no signal.
func poll(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline, tick := time.After(30*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
