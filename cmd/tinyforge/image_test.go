package main

import (
	"archive/tar"
	"bytes"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"tinyforge/app/forgetest"
	"tinyforge/db"
	"tinyforge/deploy/deploytest"
)

// imageRegistry is a registry, to which a continuous integration of ours pushes images. A service that pulls them is made
// after it, so that its containers go before the images.
type imageRegistry struct {
	*testing.T
	host  string
	layer v1.Layer
	auth  authn.Authenticator
	ids   []string // of what was published
}

func newImageRegistry(t *testing.T) *imageRegistry {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return imagesAt(t, strings.TrimPrefix(server.URL, "http://"), authn.Anonymous)
}

func imagesAt(t *testing.T, host string, auth authn.Authenticator) *imageRegistry {
	t.Helper()
	layer, err := tarball.LayerFromOpener(sampleLayer(t))
	if err != nil {
		t.Fatal(err)
	}
	r := &imageRegistry{T: t, host: host, layer: layer, auth: auth}
	t.Cleanup(func() {
		for _, id := range r.ids {
			newDockerAPI(t).removeImage(id)
		}
	})
	return r
}

// sampleLayer is a layer that holds the sample program.
func sampleLayer(t *testing.T) tarball.Opener {
	t.Helper()
	program, err := os.ReadFile(filepath.Join(deploytest.SampleCheckout(t), "sampleapp"))
	if err != nil {
		t.Fatal(err)
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: "sampleapp", Mode: 0o755, Size: int64(len(program))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(program); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil }
}

// publish pushes an image of the sample program with these variables. No other registry has the same one: what is swept at the
// end of a test would be another's too.
func (r *imageRegistry) publish(image string, env ...string) {
	r.Helper()
	ref, err := name.ParseReference(r.host + "/" + image)
	if err != nil {
		r.Fatal(err)
	}
	made, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		Architecture: runtime.GOARCH, OS: "linux", RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Entrypoint: []string{"/sampleapp"}, Env: append(env, "REGISTRY="+r.host)},
	})
	if err != nil {
		r.Fatal(err)
	}
	if made, err = mutate.AppendLayers(made, r.layer); err != nil {
		r.Fatal(err)
	}
	if err := remote.Write(ref, made, remote.WithAuth(r.auth)); err != nil {
		r.Fatal(err)
	}
	id, err := made.ConfigName()
	if err != nil {
		r.Fatal(err)
	}
	r.ids = append(r.ids, id.String()) // its tag may be another's in the end
}

// TestS10_ImageHonoursRecreate: what continuous integration pushed to a registry under the commit's name goes live when the
// commit is pushed: blue-green, unless the config asks for recreate.
func TestS10_ImageHonoursRecreate(t *testing.T) {
	t.Parallel()
	images, forge := newImageRegistry(t), newForge(t, forgetest.Options{Kind: forgetest.Gitea})
	s := newService(t)
	c, web := newClone(t, forge, "acme/site"), unique("web")
	config := "{image: '" + images.host + "/team/web:{{.ShortCommit}}', healthcheck: {path: /up, interval: 200ms, attempts: 8}"
	s.apply(forge, manifestOf(web, "image", config+"}"))

	deploy := func(version string) {
		t.Helper()
		commit := c.commit("version", version)
		images.publish("team/web:"+commit[:7], "VERSION="+version)
		c.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
		c.ends(commit, "success", "Live in ")
		s.serves(web, version)
	}
	deploy("one")
	visitors := newLoad(t, s.site, web+".test")
	deploy("two")
	if d := s.deployments(web)[0]; d.Strategy != db.BlueGreen || !strings.Contains(d.Release.Image, "/team/web@sha256:") {
		t.Errorf("by default it is %s of %s", d.Strategy, d.Release.Image)
	}

	sick := func(version, serves string) {
		t.Helper()
		commit := c.commit("version", version)
		images.publish("team/web:"+commit[:7], "VERSION="+version, "UNHEALTHY=1")
		c.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
		c.ends(commit, "failure", "Gate failed: GET /up answered 500", "the previous release still serves")
		s.serves(web, serves)
	}
	sick("sick", "two")

	s.apply(forge, manifestOf(web, "image", config+", deploy_strategy: recreate}"))
	sick("sick again", "two") // blue is kept until green is good
	deploy("three")
	visitors.stop()
	if d := s.deployments(web)[0]; d.Strategy != db.Recreate {
		t.Errorf("it asked for recreate and is %s", d.Strategy)
	}
	s.inOrder(web, "Pulling "+images.host, "Stopped tf-"+web+"-2", "Started tf-"+web+"-5", "Ready after", "goes to tf-"+web+"-5", "Removed tf-"+web+"-2")

	missing := c.push("version", "four") // and no image of it
	c.ends(missing, "failure", "has no such image", "the previous release still serves")
	s.serves(web, "three")
}

// inOrder demands that the log of a workload's newest deployment has these words, one after the other.
func (s *service) inOrder(workload string, words ...string) {
	s.Helper()
	all := s.deploymentLog(workload)
	rest := all
	for _, word := range words {
		_, after, found := strings.Cut(rest, word)
		if !found {
			s.Fatalf("the log does not have %q in its place:\n%s", word, all)
		}
		rest = after
	}
}
