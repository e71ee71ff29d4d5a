package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
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

// prune removes what is not kept, however young.
func prune(t *testing.T, e *Engine, kept deploy.Kept) (removed []string) {
	t.Helper()
	kept.Since = cmp.Or(kept.Since, time.Now().Add(time.Hour))
	removed, err := e.PruneImages(t.Context(), func(context.Context) (deploy.Kept, error) { return kept, nil })
	if err != nil {
		t.Fatal(err)
	}
	return removed
}

// TestPruneImages: of ten deployments the images of the last three stay, and what runs, and what is being built.
func TestPruneImages(t *testing.T) {
	t.Parallel()
	e, other := testEngine(t), testEngine(t)
	var ids []string
	for n := range 10 {
		ids = append(ids, buildFor(t, e, db.ReleaseID(fmt.Sprintf("tf-web-%d", n))))
	}
	foreign := buildFor(t, other, "tf-web-1")
	base := mustBuild(t, e, deploy.BuildSpec{Dir: toolDir(t, "", nil), Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("base-1")})
	newer := mustBuild(t, e, deploy.BuildSpec{Dir: toolDir(t, "ENV A=1\n", nil), Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("base-2")})
	start(t, e, release(e, ids[0]))
	if err := e.docker.ImageTag(t.Context(), ids[1], other.tag("mine")); err != nil {
		t.Fatal(err)
	}
	if err := e.docker.ImageTag(t.Context(), ids[2], "mine-"+e.cfg.Instance+":1"); err != nil {
		t.Fatal(err)
	}

	kept := deploy.Kept{Images: slices.Clone(ids[7:]), Releases: []db.ReleaseID{"tf-web-5"}}
	if removed := prune(t, e, kept); len(removed) != 5 {
		t.Errorf("removed %q", removed)
	}
	for i, id := range ids {
		if want := i == 0 || i == 2 || i == 5 || i >= 7; e.has(t, id) != want {
			t.Errorf("the image of deployment %d is there: %v, want %v", i, !want, want)
		}
	}
	for what, tt := range map[string]struct {
		ref  string
		want bool
	}{
		"another Tinyforge's image": {foreign, true},
		"the newest base":           {newer, true},
		"an older base":             {base, false},
	} {
		if e.has(t, tt.ref) != tt.want {
			t.Errorf("%s is there: %v, want %v", what, !tt.want, tt.want)
		}
	}
	if removed := prune(t, e, kept); len(removed) > 0 {
		t.Errorf("once more: %q", removed)
	}
	broken := errors.New("the database is away")
	if _, err := e.PruneImages(t.Context(), func(context.Context) (deploy.Kept, error) { return deploy.Kept{}, broken }); !errors.Is(err, broken) || !e.has(t, ids[9]) {
		t.Errorf("without an answer: %v", err)
	}
}

// TestPruneWhileSeveralAreBuilt: the images of a stack are the same from release to release, and have no label of one.
func TestPruneWhileSeveralAreBuilt(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	built, sum := map[string]string{}, strings.Repeat("0f", 16)
	for _, name := range []string{"17-db", "17-web", "17_db", "1-db", "170-db", "16-db", "17-" + sum, "17-" + sum + "-db", "17-" + sum + "_db", "170-" + sum} {
		built[name] = mustBuild(t, e, deploy.BuildSpec{Dir: toolDir(t, "ENV NAME="+name+"\n", nil), Context: ".", Dockerfile: "Dockerfile",
			Tag: e.tag(name), Labels: map[string]string{labelWorkload: "web"}})
	}
	prune(t, e, deploy.Kept{Releases: []db.ReleaseID{db.ReleaseID("tf-" + e.cfg.Instance + "-17")}, Images: []string{built["16-db"]}})
	for name, id := range built {
		if want := strings.HasPrefix(name, "17-") || strings.HasPrefix(name, "17_") || name == "16-db"; e.has(t, id) != want {
			t.Errorf("%s is there: %v, want %v", name, !want, want)
		}
	}
}

// TestPruneWhatHasNoName: an image whose tag went to another one.
func TestPruneWhatHasNoName(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	var ids []string
	for _, release := range []string{"tf-web-1", "tf-web-2"} {
		ids = append(ids, mustBuild(t, e, deploy.BuildSpec{Dir: deploytest.SampleCheckout(t), Context: ".", Dockerfile: "Dockerfile",
			Tag: e.tag("same"), Labels: map[string]string{labelRelease: release}}))
	}
	if removed := prune(t, e, deploy.Kept{Images: ids[1:]}); !slices.Equal(removed, ids[:1]) || e.has(t, ids[0]) || !e.has(t, ids[1]) {
		t.Errorf("removed %q, want %q", removed, ids[:1])
	}
}

// TestPruneWhatIsBuiltAgain: a build that begins while images are looked at makes an old one its own.
func TestPruneWhatIsBuiltAgain(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	id := mustBuild(t, e, deploy.BuildSpec{Dir: deploytest.SampleCheckout(t), Context: ".", Dockerfile: "Dockerfile",
		Tag: e.tag("1-db"), Labels: map[string]string{labelWorkload: "web"}})
	removed, err := e.PruneImages(t.Context(), func(ctx context.Context) (deploy.Kept, error) {
		return deploy.Kept{}, e.docker.ImageTag(ctx, id, e.tag("2-db"))
	})
	if err != nil || len(removed) != 0 || !e.has(t, id) {
		t.Errorf("removed %q, %v", removed, err)
	}
	if removed := prune(t, e, deploy.Kept{}); len(removed) != 1 || e.has(t, id) {
		t.Errorf("removed %q afterwards", removed)
	}
}

// meanwhile is e, before whose removal of an image something else happens.
func meanwhile(t *testing.T, e *Engine, happens func()) *Engine {
	t.Helper()
	once := sync.OnceFunc(happens)
	return newFront(t, e, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/images/") {
			once()
		}
		return false
	}).engine(e)
}

// TestPruneWhatIsBuiltAgainInTheEnd: a build makes an old image its own when it has been found to be nobody's.
func TestPruneWhatIsBuiltAgainInTheEnd(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	spec := deploy.BuildSpec{Dir: deploytest.SampleCheckout(t), Context: ".", Dockerfile: "Dockerfile",
		Tag: e.tag("1-db"), Labels: map[string]string{labelWorkload: "web"}}
	id := mustBuild(t, e, spec)
	late := meanwhile(t, e, func() {
		spec.Tag = e.tag("2-db")
		if again, err := e.Build(t.Context(), spec, io.Discard); err != nil || again != id {
			t.Errorf("built again: %s instead of %s, %v", again, id, err)
		}
	})
	if removed := prune(t, late, deploy.Kept{}); len(removed) != 0 || !e.has(t, e.tag("2-db")) {
		t.Errorf("removed %q, which was just built again", removed)
	}
	if e.has(t, e.tag("1-db")) {
		t.Error("it has the old release's name still")
	}
	if removed := prune(t, e, deploy.Kept{}); len(removed) != 1 || e.has(t, id) {
		t.Errorf("removed %q afterwards", removed)
	}
}

func TestFreeSpace(t *testing.T) {
	t.Parallel()
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
