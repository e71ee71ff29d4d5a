package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// buildFor builds an image for a release.
func buildFor(t *testing.T, e *Engine, id db.ReleaseID) string {
	t.Helper()
	return mustBuild(t, e, deploy.BuildSpec{Dir: deploytest.SampleCheckout(t), Context: ".", Dockerfile: "Dockerfile",
		Tag: e.tag(string(id)), Labels: map[string]string{labelRelease: string(id)}})
}

func (e *Engine) has(t *testing.T, ref string) bool {
	t.Helper()
	there, err := e.ImageExists(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return there
}

// TestPruneImages: of ten deployments the images of the last three stay, and what runs, and what is being built.
func TestPruneImages(t *testing.T) {
	e, other := testEngine(t), testEngine(t)
	var ids []string
	for n := range 10 {
		ids = append(ids, buildFor(t, e, db.ReleaseID(fmt.Sprintf("tf-web-%d", n))))
	}
	foreign := buildFor(t, other, "tf-web-1")
	base := mustBuild(t, e, deploy.BuildSpec{Dir: toolDir(t, "", nil), Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("base-1")})
	newer := mustBuild(t, e, deploy.BuildSpec{Dir: toolDir(t, "ENV A=1\n", nil), Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("base-2")})
	running := release(e, ids[0])
	start(t, e, running)

	registry := testRegistry(t, nil)
	pulled, named, again := []string{}, "", ""
	for _, version := range []string{"1", "2", "3"} {
		id := mustBuild(t, other, deploy.BuildSpec{Dir: toolDir(t, "ENV V="+version+"\n", nil), Context: ".", Dockerfile: "Dockerfile", Tag: other.tag(version)})
		pulled = append(pulled, mustPull(t, e, publish(t, other, id, registry+"/web:"+version, nil)))
	}
	named, again = pulled[1], e.tag("mine")
	if err := e.docker.ImageTag(t.Context(), named, again); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, ref := range append(pulled, again) {
			_, _ = e.removeImage(context.WithoutCancel(t.Context()), ref)
		}
	})

	kept := deploy.Kept{Images: append(slices.Clone(ids[7:]), pulled[2]), Releases: []db.ReleaseID{"tf-web-5"}, Old: append(pulled, "sha256:0", "nonsense ref")}
	asked := 0
	removed, err := e.PruneImages(t.Context(), func(context.Context) (deploy.Kept, error) { asked++; return kept, nil })
	if err != nil {
		t.Fatal(err)
	}
	if len(removed) != 7 || asked < 2 {
		t.Errorf("removed %q, asked %d times", removed, asked)
	}
	for i, id := range ids {
		if want := i == 0 || i == 5 || i >= 7; e.has(t, id) != want {
			t.Errorf("the image of deployment %d is there: %v, want %v", i, !want, want)
		}
	}
	for what, tt := range map[string]struct {
		ref  string
		want bool
	}{
		"another Tinyforge's image":         {foreign, true},
		"the newest base":                   {newer, true},
		"an older base":                     {base, false},
		"a pulled image of an old release":  {pulled[0], false},
		"one that somebody named otherwise": {named, true},
		"one that is kept":                  {pulled[2], true},
	} {
		if e.has(t, tt.ref) != tt.want {
			t.Errorf("%s is there: %v, want %v", what, !tt.want, tt.want)
		}
	}
	if removed, err := e.PruneImages(t.Context(), func(context.Context) (deploy.Kept, error) { return kept, nil }); err != nil || len(removed) > 0 {
		t.Errorf("once more: %q, %v", removed, err)
	}
	broken := errors.New("the database is away")
	if _, err := e.PruneImages(t.Context(), func(context.Context) (deploy.Kept, error) { return deploy.Kept{}, broken }); !errors.Is(err, broken) || !e.has(t, ids[9]) {
		t.Errorf("without an answer: %v", err)
	}
}

func TestFreeSpace(t *testing.T) {
	e := testEngine(t)
	if free, err := e.FreeSpace(t.Context()); err != nil || free < 1<<20 {
		t.Errorf("free are %d bytes, %v", free, err)
	}
	far, err := New(Config{Instance: "far", Host: "tcp://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := far.FreeSpace(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("of another machine: %v", err)
	}
}
