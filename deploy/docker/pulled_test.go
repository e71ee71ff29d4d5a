package docker

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"

	"tinyforge/deploy"
)

// hub is a registry with versions of an image, made by somebody else.
type hub struct {
	*testing.T
	made *Engine
	host string
}

func newHub(t *testing.T) *hub { return &hub{t, testEngine(t), testRegistry(t, nil)} }

// publish returns the name of a version.
func (h *hub) publish(tag, content string) string {
	h.Helper()
	id := mustBuild(h.T, h.made, deploy.BuildSpec{Dir: toolDir(h.T, "ENV V="+content+"\nENTRYPOINT [\"/tool\", \"wait\"]\n", nil), Context: ".", Dockerfile: "Dockerfile", Tag: h.made.tag(content)})
	return publish(h.T, h.made, id, h.host+"/web:"+tag, nil)
}

// byHand pulls as the operator does.
func (h *hub) byHand(ref string) {
	h.Helper()
	answer, err := h.made.docker.ImagePull(h.Context(), ref, image.PullOptions{})
	if err != nil {
		h.Fatal(err)
	}
	defer answer.Close()
	if _, err := io.Copy(io.Discard, answer); err != nil {
		h.Fatal(err)
	}
}

func TestPrunePulledImages(t *testing.T) {
	t.Parallel()
	e, h := testEngine(t), newHub(t)
	first := mustPull(t, e, h.publish("latest", "1"))
	second := mustPull(t, e, h.publish("latest", "2"))
	ref := h.publish("latest", "3")
	third := mustPull(t, e, ref)
	prune(t, e, deploy.Kept{Images: []string{third}})
	if e.has(t, first) || e.has(t, second) || !e.has(t, third) || !e.has(t, ref) {
		t.Error("not the one that is kept is there, and it alone")
	}
	r := release(e, third)
	start(t, e, r)
	if removed := prune(t, e, deploy.Kept{}); len(removed) != 0 || !e.has(t, ref) {
		t.Errorf("removed %q, which a container uses", removed)
	}
	if err := e.Remove(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	if removed := prune(t, e, deploy.Kept{}); len(removed) != 1 || removed[0] != ref || e.has(t, third) {
		t.Errorf("removed %q, want %s", removed, ref)
	}
}

// TestImagesOfTheOperatorStay: those that were there before, and those that got another name.
func TestImagesOfTheOperatorStay(t *testing.T) {
	t.Parallel()
	e, h := testEngine(t), newHub(t)
	there := h.publish("there", "1")
	h.byHand(there)
	pinned := mustPull(t, e, there)
	mustPull(t, e, pinned)

	named := mustPull(t, e, h.publish("named", "2"))
	again := "mine-" + e.cfg.Instance + ":1"
	if err := e.docker.ImageTag(t.Context(), named, again); err != nil {
		t.Fatal(err)
	}
	sibling := h.publish("sibling", "3")
	mustPull(t, e, sibling)
	if err := e.docker.ImageTag(t.Context(), sibling, h.host+"/web:by-hand"); err != nil {
		t.Fatal(err)
	}
	if removed := prune(t, e, deploy.Kept{}); len(removed) != 0 {
		t.Errorf("removed %q", removed)
	}
	for what, ref := range map[string]string{"pulled before": there, "named": again, "what it is a name of": named, "of the same repository": sibling} {
		if !e.has(t, ref) {
			t.Errorf("%s: %s is gone", what, ref)
		}
	}
	if err := e.untag(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	prune(t, e, deploy.Kept{})
	if e.has(t, named) {
		t.Error("it stays when it has no other name any more")
	}
}

// TestPulledImageOfAStoppedContainer: one that somebody else made stays whole, also one that was made in the last moment.
func TestPulledImageOfAStoppedContainer(t *testing.T) {
	t.Parallel()
	e, h := testEngine(t), newHub(t)
	ref := h.publish("1", "1")
	pinned := mustPull(t, e, ref)
	theirs := ""
	late := meanwhile(t, e, func() {
		made, err := e.docker.ContainerCreate(t.Context(), &container.Config{Image: ref}, nil, nil, nil, "")
		if err != nil {
			t.Error(err)
		}
		theirs = made.ID
		t.Cleanup(func() {
			_ = e.docker.ContainerRemove(context.WithoutCancel(t.Context()), theirs, container.RemoveOptions{})
			_ = e.untag(context.WithoutCancel(t.Context()), ref)
		})
	})
	if removed := prune(t, late, deploy.Kept{}); len(removed) != 0 || theirs == "" || !e.has(t, ref) || !e.has(t, pinned) {
		t.Errorf("removed %q, which a container uses since just now", removed)
	}
	mustPull(t, e, ref)
	if removed := prune(t, e, deploy.Kept{}); len(removed) != 0 || !e.has(t, ref) {
		t.Errorf("removed %q, which a stopped container uses", removed)
	}
}

// TestPulledSinceStays: a deployment that has not written down what it pulled began before it did.
func TestPulledSinceStays(t *testing.T) {
	t.Parallel()
	e, h := testEngine(t), newHub(t)
	begun := time.Now()
	ref := h.publish("1", "1")
	pinned := mustPull(t, e, ref)
	prune(t, e, deploy.Kept{Since: begun})
	if !e.has(t, pinned) {
		t.Fatal("it was pulled for a deployment that is being built, and is gone")
	}
	for what, name := range map[string]string{"by its tag": ref, "pinned": pinned} {
		begun = time.Now()
		mustPull(t, e, name)
		prune(t, e, deploy.Kept{Since: begun})
		if !e.has(t, pinned) {
			t.Fatalf("it was asked for again %s, and is gone", what)
		}
	}
	found, err := e.docker.ImageInspect(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if marks, _ := e.marksOf(found.RepoTags); len(marks.tags) != 2 {
		t.Errorf("after four times it has the marks %q, want one for each name", marks.tags)
	}
	prune(t, e, deploy.Kept{Since: time.Now()})
	if e.has(t, pinned) {
		t.Error("nobody needs it, and it is there")
	}
}

// TestPulledByTwoTinyforges: it stays until neither needs it.
func TestPulledByTwoTinyforges(t *testing.T) {
	t.Parallel()
	first, second, h := testEngine(t), testEngine(t), newHub(t)
	ref := h.publish("1", "1")
	mustPull(t, first, ref)
	mustPull(t, second, ref)
	for range 2 {
		if removed := prune(t, first, deploy.Kept{}); len(removed) != 0 || !first.has(t, ref) {
			t.Fatalf("removed %q, which another Tinyforge pulled too", removed)
		}
	}
	if removed := prune(t, second, deploy.Kept{}); len(removed) != 1 || second.has(t, ref) {
		t.Errorf("removed %q, want what nobody needs any more", removed)
	}
}

// TestPullWhileImagesAreRemoved: what Pull returned is there for as long as its deployment is being built.
func TestPullWhileImagesAreRemoved(t *testing.T) {
	t.Parallel()
	e, h := testEngine(t), newHub(t)
	ref := h.publish("1", "1")
	var begun atomic.Pointer[time.Time]
	keep := func(context.Context) (deploy.Kept, error) {
		since := time.Now()
		if building := begun.Load(); building != nil {
			since = *building
		}
		return deploy.Kept{Since: since}, nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	pruned, ended := make(chan int, 1), make(chan error, 1)
	go func() {
		total := 0
		for ctx.Err() == nil {
			removed, err := e.PruneImages(t.Context(), keep)
			if total += len(removed); err != nil {
				ended <- err
				break
			}
		}
		pruned <- total
	}()
	for n := range 30 {
		now := time.Now()
		begun.Store(&now)
		pinned := mustPull(t, e, ref)
		if !e.has(t, pinned) {
			t.Fatalf("it is gone after pull %d", n)
		}
		begun.Store(nil)
	}
	cancel()
	select {
	case err := <-ended:
		t.Fatal(err)
	case total := <-pruned:
		if total == 0 {
			t.Error("nothing was ever removed: this has shown nothing")
		}
	}
}

// TestMarksOfAnImage: what is not a mark of this Tinyforge says nothing.
func TestMarksOfAnImage(t *testing.T) {
	t.Parallel()
	e := &Engine{cfg: Config{Instance: "abc"}}
	for _, tag := range []string{
		"web:1", pulledBy + ":abcd.0123.a.b.17", pulledBy + ":abc.0123.a.17", pulledBy + ":abc.0123.a.b.soon", pulledBy + ":abc", "x/" + pulledBy + ":abc.0123.a.b.17",
	} {
		if p, marked := e.marksOf([]string{tag}); marked {
			t.Errorf("%s says %+v", tag, p)
		}
	}
	at := time.UnixMicro(1_700_000_000_000_001)
	p, marked := e.marksOf([]string{"web:1", fmt.Sprintf("%s:abc.0123.a.b.%d", pulledBy, at.UnixMicro()), pulledBy + ":abc.0123.a.c.1"})
	if !marked || !p.last.Equal(at) || !p.names["b"] || !p.names["c"] || !p.repositories["a"] || len(p.tags) != 2 {
		t.Errorf("they say %+v", p)
	}
}
