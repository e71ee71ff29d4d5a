package docker

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
	ggcrname "github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"tinyforge/deploy"
)

// platformImage is an image of a platform that has nothing to run in it.
func platformImage(t *testing.T, p v1.Platform) v1.Image {
	t.Helper()
	base, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	config, err := base.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture, config.Variant = p.OS, p.Architecture, p.Variant
	config.Config.Entrypoint = []string{"/none"}
	made, err := mutate.ConfigFile(base, config)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// publishIndex publishes an image for several platforms.
func publishIndex(t *testing.T, e *Engine, ref string, platforms ...v1.Platform) {
	t.Helper()
	var index v1.ImageIndex = empty.Index
	for _, p := range platforms {
		made := platformImage(t, p)
		forget(t, e, made)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: made, Descriptor: v1.Descriptor{Platform: &p}})
	}
	name, err := ggcrname.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(name, index); err != nil {
		t.Fatal(err)
	}
}

// forget removes an image from the engine in the end, under whatever name it was pulled.
func forget(t *testing.T, e *Engine, made v1.Image) {
	t.Helper()
	id, err := made.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sweep(t, e) // containers come first
		_, err := e.docker.ImageRemove(context.WithoutCancel(t.Context()), id.String(), image.RemoveOptions{Force: true, PruneChildren: true})
		if err != nil && !errdefs.IsNotFound(err) {
			t.Error(err)
		}
	})
}

var (
	native  = v1.Platform{OS: "linux", Architecture: runtime.GOARCH}
	foreign = v1.Platform{OS: "linux", Architecture: "s390x"}
	arm     = v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}
)

func (e *Engine) platformOf(t *testing.T, image string) string {
	t.Helper()
	found, err := e.docker.ImageInspect(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(found.Os+"/"+found.Architecture+"/"+found.Variant, "/")
}

func TestPullForAPlatform(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	host := testRegistry(t, nil)
	publishIndex(t, e, host+"/multi:1", native, foreign, arm)
	ids := map[string]string{}
	for _, platform := range []string{"", "linux/s390x", "linux/arm/v7", "linux/arm", "linux/" + runtime.GOARCH} {
		var log bytes.Buffer
		pinned, err := e.Pull(t.Context(), deploy.PullSpec{Ref: host + "/multi:1", Platform: platform}, &log)
		if err != nil {
			t.Fatalf("%q: %v\n%s", platform, err, &log)
		}
		want := platform
		switch platform {
		case "":
			want = "linux/" + runtime.GOARCH
		case "linux/arm":
			want = "linux/arm/v7"
		}
		if got := e.platformOf(t, pinned); got != want {
			t.Errorf("%q: pulled one for %s", platform, got)
		}
		byDigest, byID := strings.HasPrefix(pinned, host+"/multi@sha256:"), strings.HasPrefix(pinned, host+"/multi:tinyforge-")
		if byDigest != (platform == "") || byID == byDigest {
			t.Errorf("%q: pinned to %s", platform, pinned)
		}
		ids[platform] = pinned
	}
	if ids["linux/arm"] != ids["linux/arm/v7"] || ids["linux/s390x"] == ids["linux/arm/v7"] {
		t.Errorf("pinned to %v", ids)
	}
	for image, want := range map[string]string{ids["linux/s390x"]: "linux/s390x", ids["linux/arm/v7"]: "linux/arm/v7"} {
		if got := e.platformOf(t, image); got != want {
			t.Errorf("%s has become one for %s", image, got)
		}
	}
	r := release(e, ids["linux/s390x"])
	r.Platform = "linux/s390x"
	if err := e.ensureNetwork(t.Context(), e.cfg.Network); err != nil {
		t.Fatal(err)
	}
	id, err := e.create(t.Context(), r)
	if err != nil {
		t.Fatalf("create a container of another platform: %v", err)
	}
	if c, err := e.docker.ContainerInspect(t.Context(), id); err != nil || e.platformOf(t, c.Image) != "linux/s390x" {
		t.Errorf("the container has the image %s, %v", c.Image, err)
	}
	r.ID, r.Platform = r.ID+"x", "linux/arm/v7"
	if _, err := e.create(t.Context(), r); err == nil {
		t.Error("the platform of a container is not passed on")
	}
}

// A pinned image is not asked for again when the engine has it for the platform.
func TestPullOfAPinnedImageForAPlatform(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	host, die := mortalRegistry(t)
	publishIndex(t, e, host+"/multi:1", native, foreign)
	pinned := mustPull(t, e, host+"/multi:1")
	pull := func(platform string) (string, error) {
		return e.Pull(t.Context(), deploy.PullSpec{Ref: pinned, Platform: platform}, io.Discard)
	}
	_, err := pull("linux/s390x")
	if text := failure(t, err); !strings.Contains(text, "name the digest of its image for linux/s390x, not of them all") {
		t.Errorf("failure is %q", text)
	}
	die()
	id, err := pull("linux/" + runtime.GOARCH)
	if err != nil || e.platformOf(t, id) != "linux/"+runtime.GOARCH || !strings.HasPrefix(id, host+"/multi:tinyforge-") {
		t.Errorf("got %s, %v", id, err)
	}
}

// What was pulled for a platform goes when no release needs it, under all its names.
func TestPruneOfWhatWasPulledForAPlatform(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	ref := testRegistry(t, nil) + "/multi:1"
	publishIndex(t, e, ref, native, foreign)
	pinned, err := e.Pull(t.Context(), deploy.PullSpec{Ref: ref, Platform: "linux/s390x"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	prune(t, e, deploy.Kept{Images: []string{pinned}})
	if !e.has(t, pinned) {
		t.Error("an image that is needed was removed")
	}
	prune(t, e, deploy.Kept{})
	if e.has(t, pinned) || e.has(t, ref) {
		t.Error("an image that nobody needs was left")
	}
}

func TestPullForAPlatformThatThereIsNot(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	host := testRegistry(t, nil)
	publishIndex(t, e, host+"/multi:1", native, foreign)
	name, err := ggcrname.ParseReference(host + "/single:1")
	if err != nil {
		t.Fatal(err)
	}
	single := platformImage(t, native)
	forget(t, e, single)
	if err := remote.Write(name, single); err != nil {
		t.Fatal(err)
	}
	publishIndex(t, e, host+"/others:1", foreign)
	for _, tt := range []struct{ image, platform, want string }{
		{"/multi:1", "linux/riscv64", "it is not made for linux/riscv64, which the config's platform asks for"},
		{"/single:1", "linux/riscv64", "it is made for linux/" + runtime.GOARCH + ", and the config's platform asks for linux/riscv64"},
		{"/others:1", "", "it is not made for the kind of machine that Docker runs on"},
	} {
		_, err := e.Pull(t.Context(), deploy.PullSpec{Ref: host + tt.image, Platform: tt.platform}, io.Discard)
		if text := failure(t, err); text != "Image "+host+tt.image+": "+tt.want {
			t.Errorf("%s for %q: failure is %q", tt.image, tt.platform, text)
		}
	}
}

func TestPlatform(t *testing.T) {
	t.Parallel()
	if p := platform(""); p != nil {
		t.Errorf("no platform is %+v", p)
	}
	for _, tt := range []struct {
		image, wanted string
		fits          bool
	}{
		{"linux/arm64/v8", "linux/arm64", true},
		{"linux/arm64", "linux/arm64/v8", true},
		{"linux/arm/v6", "linux/arm/v7", false},
		{"linux/amd64", "linux/arm64", false},
		{"windows/amd64", "linux/amd64", false},
	} {
		if got := fits(*platform(tt.image), *platform(tt.wanted)); got != tt.fits {
			t.Errorf("%s for %s: %t", tt.image, tt.wanted, got)
		}
	}
}
