package registry

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// world is a registry that is served, and its clock.
type world struct {
	*testing.T
	*Registry
	host string
	now  time.Time
	log  bytes.Buffer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, now: time.Now()}
	var err error
	w.Registry, err = New(t.Context(), Config{Dir: filepath.Join(t.TempDir(), "registry"), User: "tinyforge", Password: "open sesame",
		PullUser: "node", PullPassword: "sesame too", Keep: time.Hour, Log: slog.New(slog.NewTextHandler(&w.log, nil))})
	w.must(err)
	w.touched.now = func() time.Time { return w.now }
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.host = strings.TrimPrefix(server.URL, "http://")
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) ref(text string) name.Reference {
	w.Helper()
	ref, err := name.ParseReference(w.host + "/" + text)
	w.must(err)
	return ref
}

func (w *world) account(password string) remote.Option {
	return remote.WithAuth(&authn.Basic{Username: "tinyforge", Password: password})
}

// push makes an image of one layer and sends it.
func (w *world) push(ref string, size int64) v1.Image {
	w.Helper()
	image, err := random.Image(size, 1)
	w.must(err)
	w.must(remote.Write(w.ref(ref), image, w.account("open sesame")))
	return image
}

// whole reads all of an image out of the registry.
func (w *world) whole(ref string) error {
	w.Helper()
	image, err := remote.Image(w.ref(ref), w.account("open sesame"))
	if err != nil {
		return err
	}
	layers, err := image.Layers()
	w.must(err)
	for _, l := range layers {
		r, err := l.Compressed()
		if err != nil {
			return err
		}
		if _, err := new(bytes.Buffer).ReadFrom(r); err != nil {
			return err
		}
	}
	return nil
}

// onDisk is how many bytes the folder has.
func (w *world) onDisk() (n int64) {
	w.Helper()
	w.must(filepath.WalkDir(w.cfg.Dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		n += info.Size()
		return err
	}))
	return n
}

func (w *world) sweep() (removed int, freed int64) {
	w.Helper()
	removed, freed, err := w.Sweep(context.WithoutCancel(w.Context()))
	w.must(err)
	return removed, freed
}

func TestAccount(t *testing.T) {
	w := newWorld(t)
	w.push("web:1", 1000)
	for what, set := range map[string]func(*http.Request){
		"none":           func(*http.Request) {},
		"wrong password": func(r *http.Request) { r.SetBasicAuth("tinyforge", "open sesam") },
		"another's":      func(r *http.Request) { r.SetBasicAuth("tinyforge", "sesame too") },
		"a node's wrong": func(r *http.Request) { r.SetBasicAuth("node", "open sesame") },
		"wrong user":     func(r *http.Request) { r.SetBasicAuth("ann", "open sesame") },
		"shifted":        func(r *http.Request) { r.SetBasicAuth("tinyforge:open", "sesame") },
	} {
		for _, path := range []string{"/v2/", "/v2/_catalog", "/v2/web/manifests/1", "/", "/metrics"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.host+path, nil)
			w.must(err)
			set(r)
			answer, err := http.DefaultClient.Do(r)
			w.must(err)
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(answer.Header.Get("WWW-Authenticate"), "Basic ") || !answer.Close {
				t.Errorf("%s, account %s: %s", path, what, answer.Status)
			}
		}
	}
	w.must(w.whole("web:1"))
	if text := w.log.String(); !strings.Contains(text, "image stored") || strings.Contains(text, "sesame") || strings.Contains(text, "WARN") {
		t.Errorf("the log says\n%s", text)
	}
}

// TestPullAccount: it gets images, and neither pushes nor deletes, nor begins an upload that would fill the disk.
func TestPullAccount(t *testing.T) {
	w := newWorld(t)
	pushed := w.push("web:1", 1000)
	node := remote.WithAuth(&authn.Basic{Username: "node", Password: "sesame too"})
	image, err := remote.Image(w.ref("web:1"), node)
	w.must(err)
	w.must(validate.Image(image))
	sum, err := pushed.Digest()
	w.must(err)
	before := w.onDisk()
	for what, err := range map[string]error{
		"push":   remote.Write(w.ref("other:1"), pushed, node),
		"tag":    remote.Tag(w.ref("web:2").(name.Tag), pushed, node),
		"delete": remote.Delete(w.ref("web@"+sum.String()), node),
	} {
		if answer, ok := errors.AsType[*transport.Error](err); !ok || answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %v", what, err)
		}
	}
	if after := w.onDisk(); after != before {
		t.Errorf("there are %d bytes on the disk, and were %d", after, before)
	}
	w.must(w.whole("web:1"))
}

// TestSweep: what a deleted image alone needed goes from the disk, and all else stays.
func TestSweep(t *testing.T) {
	w := newWorld(t)
	if removed, _ := w.sweep(); removed != 0 {
		t.Errorf("removed %d of nothing", removed)
	}
	const size = 1 << 20
	w.push("a/kept:1", size)
	gone := w.push("a/gone:1", size)
	digest, err := gone.Digest()
	w.must(err)
	w.must(remote.Delete(w.ref("a/gone@"+digest.String()), w.account("open sesame")))
	if removed, _ := w.sweep(); removed != 0 {
		t.Errorf("removed %d that somebody sent just now", removed)
	}
	w.now = w.now.Add(2 * time.Hour)
	before := w.onDisk()
	removed, freed := w.sweep()
	if removed != 3 || freed < size || before-w.onDisk() < freed { // manifest, config and layer
		t.Errorf("removed %d blobs and %d bytes; the disk has %d less", removed, freed, before-w.onDisk())
	}
	w.must(w.whole("a/kept:1"))
	w.must(remote.Write(w.ref("a/gone:2"), gone, w.account("open sesame")))
	w.must(w.whole("a/gone:2"))
}

// TestSweepSparesWhatIsPushed: a client has sent a blob, and heard of another, unneeded one that it is there; the manifest comes
// after the sweep.
func TestSweepSparesWhatIsPushed(t *testing.T) {
	w := newWorld(t)
	old := w.push("web:1", 5000)
	digest, err := old.Digest()
	w.must(err)
	w.must(remote.Delete(w.ref("web@"+digest.String()), w.account("open sesame")))
	w.now = w.now.Add(2 * time.Hour)
	layers, err := old.Layers()
	w.must(err)
	w.must(remote.WriteLayer(w.ref("web:2").Context(), layers[0], w.account("open sesame"))) // it asks, and need not send
	w.now = w.now.Add(30 * time.Minute)
	if removed, _ := w.sweep(); removed != 2 { // the config, and the manifest
		t.Errorf("removed %d blobs", removed)
	}
	layer, err := layers[0].Digest()
	w.must(err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "http://"+w.host+"/v2/web/blobs/"+layer.String(), nil)
	w.must(err)
	r.SetBasicAuth("tinyforge", "open sesame")
	answer, err := http.DefaultClient.Do(r)
	w.must(err)
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("what was said to be there is answered %s", answer.Status)
	}
}

// TestSweepHoldsManifests: one that comes during a sweep is stored when it has ended.
func TestSweepHoldsManifests(t *testing.T) {
	w := newWorld(t)
	came := make(chan struct{})
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
			close(came)
		}
		w.ServeHTTP(rw, r)
	}))
	defer front.Close()
	w.host = strings.TrimPrefix(front.URL, "http://")
	image, err := random.Image(1000, 1)
	w.must(err)
	ref, account := w.ref("web:1"), w.account("open sesame")
	stored := make(chan error, 1)
	w.sweeping.Lock()
	go func() { stored <- remote.Write(ref, image, account) }()
	<-came
	for range 50 { // it would have been stored by then
		if _, err := remote.Head(ref, account); err == nil {
			t.Error("it was stored meanwhile")
		}
	}
	w.sweeping.Unlock()
	w.must(<-stored)
	w.must(w.whole("web:1"))
}

// TestUnfinishedUploadGoes: what a client that went away has left.
func TestUnfinishedUploadGoes(t *testing.T) {
	w := newWorld(t)
	w.push("web:1", 1000)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.host+"/v2/web/blobs/uploads/", nil)
	w.must(err)
	r.SetBasicAuth("tinyforge", "open sesame")
	answer, err := http.DefaultClient.Do(r)
	w.must(err)
	_ = answer.Body.Close()
	uploads := filepath.Join(w.cfg.Dir, "docker/registry/v2/repositories/web/_uploads/*")
	if left, _ := filepath.Glob(uploads); len(left) != 1 {
		t.Fatalf("the upload has %q", left)
	}
	w.sweep()
	if left, _ := filepath.Glob(uploads); len(left) != 1 {
		t.Errorf("one that has just begun is gone: %q", left)
	}
	w.now = w.now.Add(2 * time.Hour)
	w.sweep()
	if left, _ := filepath.Glob(uploads); len(left) != 0 {
		t.Errorf("%q is left", left)
	}
}

// TestFullDisk: an error while the disk is full says so, and what came of the upload goes; another error is what it was.
func TestFullDisk(t *testing.T) {
	w := newWorld(t)
	const upload = "01a21a83-73a7-711e-9bd2-2be7a5572366"
	folder := filepath.Join(w.cfg.Dir, "docker/registry/v2/repositories/a/b/_uploads", upload)
	w.app = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		w.must(os.MkdirAll(folder, 0o700))
		rw.WriteHeader(http.StatusInternalServerError)
		_, _ = rw.Write([]byte("UNKNOWN"))
	})
	dir := w.cfg.Dir
	for _, tt := range []struct {
		disk, want string
		status     int
		left       bool
	}{{dir, "UNKNOWN", http.StatusInternalServerError, true}, {"/proc", "the disk of the registry is full", http.StatusForbidden, false}} { // which has no room
		w.disk = tt.disk
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPatch, "/v2/a/b/blobs/uploads/"+upload, nil)
		r.SetBasicAuth("tinyforge", "open sesame")
		answer := httptest.NewRecorder()
		w.ServeHTTP(answer, r)
		_, err := os.Stat(folder)
		if answer.Code != tt.status || !strings.Contains(answer.Body.String(), tt.want) || (err == nil) != tt.left {
			t.Errorf("with %s it answers %d %s, and the upload is left: %v", tt.disk, answer.Code, answer.Body, err == nil)
		}
	}
}
