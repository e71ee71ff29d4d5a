package deploy_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// away is a runtime that does not answer.
type away struct{ deploy.Runtime }

var errAway = errors.New("it is away")

func (away) Inspect(context.Context, db.ReleaseID) (deploy.Instance, error) {
	return deploy.Instance{}, errAway
}
func (away) List(context.Context) ([]deploy.Instance, error)      { return nil, errAway }
func (away) Remove(context.Context, db.ReleaseID) error           { return errAway }
func (away) Watch(context.Context, func(db.ReleaseID)) error      { return errAway }
func (away) Tail(context.Context, db.ReleaseID) ([]string, error) { return nil, errAway }

// told says that events may have been missed when both runtimes have: until then those of one may be, and are told of by its own word.
type told struct{ deploy.Runtimes }

func (b told) Watch(ctx context.Context, changed func(db.ReleaseID)) error {
	missed := 0
	return b.Runtimes.Watch(ctx, func(id db.ReleaseID) {
		if id == "" {
			missed++
		}
		if missed != 1 {
			changed(id)
		}
	})
}

func TestRuntimes(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	both := deploy.Runtimes{db.RuntimeDocker: deploytest.NewRuntime(t, nil), "swarm": deploytest.NewRuntime(t, nil)}
	deploytest.ExerciseRuntime(t, told{both}, func(*testing.T) db.Release {
		id := n.Add(1)
		return db.Release{ID: deploy.BuildGreenName("web", id), WorkloadID: 1, Workload: "web", DeploymentID: id, Image: "sample", Port: 8080,
			Runtime: []string{"", "swarm"}[id%2]}
	})
}

// TestRuntimesGoByTheRelease: a release is in the runtime that it names, and nowhere else.
func TestRuntimesGoByTheRelease(t *testing.T) {
	t.Parallel()
	here, there := deploytest.NewRuntime(t, nil), deploytest.NewRuntime(t, nil)
	both := deploy.Runtimes{db.RuntimeDocker: here, "swarm": there}
	r := db.Release{ID: "tf-web-1", WorkloadID: 1, Workload: "web", DeploymentID: 1, Image: "sample", Port: 8080, Runtime: "swarm"}
	_, err := both.Start(t.Context(), r)
	must(t, err)
	if in, err := here.Inspect(t.Context(), r.ID); err != nil || in.State != deploy.Missing {
		t.Errorf("in the other runtime it is %s, %v", in.State, err)
	}
	if in, err := both.Inspect(t.Context(), r.ID); err != nil || in.State != deploy.Running {
		t.Errorf("it is %s, %v", in.State, err)
	}
	r.Runtime = "moon"
	_, err = both.Start(t.Context(), r)
	if failure, ok := errors.AsType[*deploy.Failure](err); !ok || !strings.Contains(failure.Text, `no runtime "moon", only docker and swarm`) {
		t.Errorf("unknown runtime: %v", err)
	}
}

// TestRuntimeAway: one that does not answer matters to nothing that another one has, and nothing is taken for absent.
func TestRuntimeAway(t *testing.T) {
	t.Parallel()
	here := deploytest.NewRuntime(t, nil)
	both := deploy.Runtimes{db.RuntimeDocker: here, "swarm": away{}}
	r := db.Release{ID: "tf-web-1", WorkloadID: 1, Workload: "web", DeploymentID: 1, Image: "sample", Port: 8080}
	_, err := both.Start(t.Context(), r)
	must(t, err)
	if in, err := both.Inspect(t.Context(), r.ID); err != nil || in.State != deploy.Running {
		t.Errorf("it is %s, %v", in.State, err)
	}
	list, err := both.List(t.Context())
	if missing, ok := errors.AsType[*deploy.Away](err); !ok || !errors.Is(err, errAway) || !slices.Equal(missing.Kinds, []string{"swarm"}) || len(list) != 1 {
		t.Errorf("a list without what is away: %+v, %v", list, err)
	}
	if _, err := both.Inspect(t.Context(), "tf-web-2"); !errors.Is(err, errAway) {
		t.Errorf("what may be where nobody answers is not missing: %v", err)
	}
	must(t, both.Remove(t.Context(), r.ID))
	if err := both.Remove(t.Context(), "tf-web-2"); !errors.Is(err, errAway) {
		t.Errorf("what may be where nobody answers is not removed: %v", err)
	}
	if err := both.Watch(t.Context(), func(db.ReleaseID) {}); !errors.Is(err, errAway) {
		t.Errorf("watching one that cannot be watched: %v", err)
	}
}

// TestOneRuntimeAway: what the other one has is deployed, undone and started again; what runs there is left as it is, which is said.
func TestOneRuntimeAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	there := deploytest.NewRuntime(t, w.app)
	w.deployer.Runtime = deploy.Runtimes{db.RuntimeDocker: w.runtime, "swarm": there}
	first := w.live("a")
	other, mine := w.workload, w.workload
	other.ID, other.Name, other.Host = 0, "api", "api.example.com"
	other.Config = []byte(strings.Replace(blueGreen, "{", `{"runtime":"swarm",`, 1))
	must(t, w.db.SaveWorkload(t.Context(), &other))
	w.workload = other
	if dep := w.run(w.push("b")); dep.Phase != db.PhaseLive {
		t.Fatalf("on the swarm: %s: %s", dep.Phase, dep.Error)
	}
	w.workload = mine
	gone, removed := deploytest.NewRuntime(t, nil), db.Release{ID: "tf-old-1", WorkloadID: 99, Workload: "old", DeploymentID: 1, Commit: "d", Image: "sample", Port: 8080}
	must2(t)(w.runtime.Start(t.Context(), removed))
	must(t, w.runtime.Stop(t.Context(), first.Release.ID))

	w.deployer.Runtime = deploy.Runtimes{db.RuntimeDocker: w.runtime, "swarm": away{gone}}
	if err := deploy.NewRecovery(w.deployer).Pass(t.Context()); err == nil || !strings.Contains(err.Error(), "workloads on swarm are left as they are") {
		t.Errorf("a pass without it: %v", err)
	}
	w.serves("a")
	w.builds.err = errAway
	if dep := w.run(w.push("d")); dep.Phase != db.PhaseFailed || !strings.HasSuffix(dep.Error, db.StillServes) {
		t.Errorf("what fails is %s: %s", dep.Phase, dep.Error)
	}
	w.builds.err = nil
	last := w.live("c")
	must(t, w.runtime.Remove(t.Context(), last.Release.ID))
	if err := deploy.NewRecovery(w.deployer).Pass(t.Context()); !errors.Is(err, errAway) {
		t.Errorf("a pass without it: %v", err)
	}
	w.serves("c")
	if up := w.router.Routes()[other.Host]; up == "" {
		t.Error("the route to what is away leads to nobody")
	}
}

// TestMovesToAnotherRuntime: by its next push, blue-green, with a visitor all the time; and back.
func TestMovesToAnotherRuntime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	there := deploytest.NewRuntime(t, w.app)
	w.deployer.Runtime = deploy.Runtimes{db.RuntimeDocker: w.runtime, "swarm": there}
	w.live("a")
	stop := make(chan struct{})
	failed := make(chan string, 1)
	go func() {
		defer close(failed)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if status, body := w.router.Get(host, "/"); status != 200 {
				failed <- body
				return
			}
		}
	}()
	w.workload.Config = []byte(strings.Replace(blueGreen, "{", `{"runtime":"swarm","replicas":2,`, 1))
	must(t, w.db.SaveWorkload(t.Context(), &w.workload))
	if dep := w.run(w.push("b")); dep.Phase != db.PhaseLive {
		t.Fatalf("it is %s: %s", dep.Phase, dep.Error)
	}
	list, err := w.runtime.List(t.Context())
	must(t, err)
	moved, err := there.List(t.Context())
	must(t, err)
	if len(list) != 0 || len(moved) != 1 || len(moved[0].Upstream.Addrs()) != 2 {
		t.Errorf("before: %+v, now: %+v", list, moved)
	}
	w.workload.Config = []byte(blueGreen)
	must(t, w.db.SaveWorkload(t.Context(), &w.workload))
	w.live("c")
	close(stop)
	if said := <-failed; said != "" {
		t.Errorf("a visitor got %q", said)
	}
	if left, err := there.List(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("left behind: %+v, %v", left, err)
	}
}

// publishing is a runtime that has its images from a registry.
type publishing struct{ *deploytest.Runtime }

const published = "registry.test/apps/web@sha256:"

func (publishing) Publish(_ context.Context, r db.Release, _ io.Writer) (db.Release, error) {
	r.Image = published + strings.Repeat("ef", 32)
	return r, nil
}

// TestWhereImagesArePublishedIsNotTold: who reads a log could read the image by it.
func TestWhereImagesArePublishedIsNotTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.deployer.Runtime = publishing{w.runtime}
	dep := w.live("a")
	if !strings.HasPrefix(dep.Release.Image, published) {
		t.Errorf("its image is %s", dep.Release.Image)
	}
	if text := w.logText(dep.ID); !strings.Contains(text, "Built sha256:abab") || strings.Contains(text, published) {
		t.Errorf("the log is %s", text)
	}
}
