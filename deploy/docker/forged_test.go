package docker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"tinyforge/db"
	"tinyforge/deploy"
)

// A container that inherits our labels from an image that forged them is not taken for the release that they name.
func TestForgedLabels(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	image := sampleImage(t, e)
	victim := release(e, image)
	in := start(t, e, victim)
	seen := watch(t, e)
	forged := byHand(t, e, e.cfg.Instance+"-forged", forge(t, e, image, e.labels(victim)))
	if list, err := e.List(t.Context()); err != nil || len(list) != 1 || list[0].Upstream != in.Upstream {
		t.Errorf("listed are %+v, %v", list, err)
	}
	if got := inspect(t, e, victim.ID); got.State != deploy.Running || got.Upstream != in.Upstream {
		t.Errorf("the victim is %+v, and was %+v", got, in)
	}
	second := release(e, image)
	start(t, e, second)
	if id := <-seen; id != second.ID { // and not of the start by hand
		t.Errorf("told of %q", id)
	}
	if err := e.Stop(t.Context(), victim.ID); err != nil {
		t.Fatal(err)
	}
	if inspect(t, e, victim.ID).State != deploy.Exited || !runs(t, e, forged) {
		t.Error("Stop stops something else than the victim")
	}
	if err := e.Remove(t.Context(), victim.ID); err != nil {
		t.Fatal(err)
	}
	if inspect(t, e, victim.ID).State != deploy.Missing || !runs(t, e, forged) {
		t.Error("Remove removes something else than the victim")
	}
	if err := e.Remove(t.Context(), victim.ID); err != nil || !runs(t, e, forged) {
		t.Errorf("without the victim, Remove takes the forged one, %v", err)
	}
}

// What was made by hand with the labels of one release and the name of another is nobody's.
func TestForgedName(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	image := sampleImage(t, e)
	victim, other := release(e, image), release(e, image)
	start(t, e, victim)
	forged := byHand(t, e, string(other.ID), forge(t, e, image, e.labels(victim)))
	_, err := e.Start(t.Context(), other)
	if text := failure(t, err); !strings.Contains(text, "not ours") {
		t.Errorf("failure is %q", text)
	}
	if in := inspect(t, e, other.ID); in.State != deploy.Missing {
		t.Errorf("it is taken for %+v", in)
	}
	for _, call := range []func(context.Context, db.ReleaseID) error{e.Stop, e.Remove} {
		if err := call(t.Context(), other.ID); err != nil || !runs(t, e, forged) {
			t.Errorf("it was touched: %v", err)
		}
	}
}

// A container that somebody renamed is out of our hands: it is not the release any more, and does not go with it.
func TestRenamedContainerIsLeftAlone(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	r := release(e, sampleImage(t, e))
	start(t, e, r)
	renamed := string(r.ID) + "-old"
	if err := e.docker.ContainerRename(t.Context(), string(r.ID), renamed); err != nil {
		t.Fatal(err)
	}
	if in := inspect(t, e, r.ID); in.State != deploy.Missing {
		t.Errorf("renamed it is %+v", in)
	}
	start(t, e, r)
	if list, err := e.List(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("listed are %+v, %v", list, err)
	}
	if err := e.Remove(t.Context(), r.ID); err != nil || !runs(t, e, renamed) {
		t.Errorf("Remove took the renamed one too, %v", err)
	}
}

// A release that runs an image with forged labels is told by its own.
func TestImagesLabelsNeverWin(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	image := sampleImage(t, e)
	victim := release(e, image)
	victim.WorkloadID, victim.Port = 99, 9999
	r := release(e, forge(t, e, image, e.labels(victim)))
	in := start(t, e, r)
	if in.ID != r.ID || in.WorkloadID != r.WorkloadID || in.DeploymentID != r.DeploymentID || in.Upstream.Port != r.Port {
		t.Errorf("it is %+v", in)
	}
	if again := start(t, e, r); again.Upstream != in.Upstream {
		t.Errorf("it was replaced: %+v, before %+v", again, in)
	}
}

// A built image carries none of our labels but those that we gave it.
func TestBuildOverridesForgedLabels(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	forged := e.labels(release(e, ""))
	forged[labelVolume], forged[labelBuiltBy], forged["color"] = "a/b", "another", "green"
	dir := t.TempDir()
	write(t, dir, "Dockerfile", "FROM scratch\n"+labelLines(forged)+"COPY Dockerfile /\n")
	mustBuild(t, e, deploy.BuildSpec{
		Dir: dir, Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("1"), Labels: map[string]string{labelRelease: "tf-web-17"},
	})
	found, err := e.docker.ImageInspect(t.Context(), e.tag("1"))
	if err != nil {
		t.Fatal(err)
	}
	labels := found.Config.Labels
	maps.DeleteFunc(labels, func(_, value string) bool { return value == "" })
	if want := map[string]string{labelRelease: "tf-web-17", labelBuiltBy: e.cfg.Instance, "color": "green"}; !maps.Equal(labels, want) {
		t.Errorf("image has labels %v, want %v", labels, want)
	}
}

// forge makes an image that carries labels, as no Build would.
func forge(t *testing.T, e *Engine, image string, labels map[string]string) string {
	t.Helper()
	made, err := e.docker.ContainerCreate(t.Context(), &container.Config{Image: image}, nil, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.docker.ContainerRemove(t.Context(), made.ID, container.RemoveOptions{}); err != nil {
			t.Error(err)
		}
	}()
	forged, err := e.docker.ContainerCommit(t.Context(), made.ID, container.CommitOptions{
		Reference: e.tag("forged"),
		Changes:   strings.Split(strings.TrimSpace(labelLines(labels)), "\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return forged.ID
}

func labelLines(labels map[string]string) string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		text += fmt.Sprintf("LABEL %s=%q\n", name, labels[name])
	}
	return text
}

// byHand runs an image with no labels but its own.
func byHand(t *testing.T, e *Engine, name, image string) string {
	t.Helper()
	made, err := e.docker.ContainerCreate(t.Context(), &container.Config{Image: image}, nil, nil, nil, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.docker.ContainerRemove(context.WithoutCancel(t.Context()), made.ID, container.RemoveOptions{Force: true}); err != nil {
			t.Error(err)
		}
	})
	if err := e.docker.ContainerStart(t.Context(), made.ID, container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	return made.ID
}

func runs(t *testing.T, e *Engine, id string) bool {
	t.Helper()
	c, err := e.docker.ContainerInspect(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return c.State.Running
}

// watch returns what Watch tells from now on. It is closed after a minute.
func watch(t *testing.T, e *Engine) <-chan db.ReleaseID {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	seen := make(chan db.ReleaseID, 100)
	go func() {
		defer close(seen)
		_ = e.Watch(ctx, func(id db.ReleaseID) { seen <- id })
	}()
	if id := <-seen; id != "" {
		t.Errorf("the first call is %q", id)
	}
	return seen
}
