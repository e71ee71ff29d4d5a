package compose

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// host is the real Docker with a workload of its own. All that a test makes is removed at its end.
type host struct {
	t        *testing.T
	rt       *Runtime
	workload string
	image    string // the sample program
	inner    *innerFake
}

// innerFake runs no releases; the networks are real.
type innerFake struct {
	*deploytest.Runtime
	docker  client.APIClient
	network string
	mu      sync.Mutex
}

func (f *innerFake) EnsureNetwork(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.docker.NetworkInspect(ctx, f.network, client.NetworkInspectOptions{}); err == nil {
		return nil
	}
	_, err := f.docker.NetworkCreate(ctx, f.network, client.NetworkCreateOptions{Driver: "bridge"})
	return err
}

func newHost(t *testing.T) *host {
	t.Helper()
	t.Parallel()
	name := "t" + strings.ToLower(rand.Text()[:8])
	inner := &innerFake{Runtime: deploytest.NewRuntime(t, nil), network: "tinyforge-test-" + name}
	rt, err := New(Config{Instance: name, Network: inner.network, ConfigDir: filepath.Join(t.TempDir(), "none"), Patience: 30 * time.Second, Stays: lookEvery,
		Log: slog.New(slog.DiscardHandler)}, inner)
	must(t, err)
	inner.docker = rt.docker
	if _, err := rt.docker.Ping(t.Context(), client.PingOptions{}); err != nil {
		t.Fatalf("these tests need a running Docker: %v", err)
	}
	h := &host{t: t, rt: rt, workload: name, inner: inner}
	t.Cleanup(h.sweep)
	found, err := rt.docker.ImageInspect(t.Context(), sampleImage(t))
	must(t, err)
	h.image = found.ID
	return h
}

func (h *host) sweep() { Sweep(h.t, h.rt, h.workload) }

var lastDeployment atomic.Int64

// from is the n-th release, loaded from a Compose file in which every image is the sample's.
func (h *host) from(n int64, text string) db.Release {
	h.t.Helper()
	dir := h.t.TempDir()
	must(h.t, os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(text), 0o600))
	id := db.ReleaseID("tf-" + h.workload + "-" + strconv.FormatInt(n, 10))
	in := deploy.StackInput{ID: id, Tag: "unused:1", Workload: h.workload, Dir: dir, Service: "web", Allow: []string{"ports"}}
	loaded, err := NewLoader(local{h.image}).Load(h.t.Context(), in, io.Discard)
	must(h.t, err)
	return db.Release{ID: id, WorkloadID: 7, Workload: h.workload, DeploymentID: n, Commit: "c", Port: loaded.Port, Stack: &loaded.Stack}
}

// local has one image, under all names.
type local struct{ image string }

func (l local) Build(context.Context, deploy.BuildSpec, io.Writer) (string, error) {
	return l.image, nil
}

func (l local) Pull(context.Context, deploy.PullSpec, io.Writer) (string, error) {
	return l.image, nil
}

func (h *host) start(r db.Release) deploy.Instance {
	h.t.Helper()
	in, err := h.rt.Start(h.t.Context(), r)
	must(h.t, err)
	return in
}

func (h *host) inspect(id db.ReleaseID) deploy.Instance {
	h.t.Helper()
	in, err := h.rt.Inspect(h.t.Context(), id)
	must(h.t, err)
	return in
}

// get asks an upstream until it answers.
func (h *host) get(up deploy.Upstream, path string) string {
	h.t.Helper()
	client := http.Client{Timeout: time.Second}
	deadline := time.Now().Add(20 * time.Second)
	for {
		answer, err := client.Get("http://" + up.Addr + path)
		if err == nil {
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			must(h.t, err)
			return strings.TrimSpace(string(body))
		}
		if time.Now().After(deadline) {
			h.t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// ids are the container ids of the project by service.
func (h *host) ids() map[string]string {
	h.t.Helper()
	s, err := h.rt.stack(h.t.Context(), projectName(h.workload))
	must(h.t, err)
	ids := map[string]string{}
	for _, m := range s.members {
		ids[m.service()] = m.ID
	}
	return ids
}

// two is a stack of web, which answers its version, and of db, which has a volume.
func two(version string, more ...string) string {
	return web("environment: {VERSION: "+version+"}", "depends_on: [db]") +
		"  db:\n    image: x\n    environment: {VERSION: db}\n    volumes: ['data:/data']\n" + indent(4, more...) + "volumes: {data: {}}\n"
}
