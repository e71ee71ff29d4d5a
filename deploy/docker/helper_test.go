package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

func TestMain(m *testing.M) {
	code := deploytest.RunMany(m)
	endNodes()
	os.Exit(code)
}

// testEngine returns an Engine of its own instance and network on the real Docker. All that it makes is removed at the end.
func testEngine(t *testing.T) *Engine {
	t.Helper()
	name := "tinyforge-test-" + strings.ToLower(rand.Text()[:10])
	e, err := New(Config{Instance: name, Network: name, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.docker.Ping(t.Context()); err != nil {
		t.Fatalf("these tests need a running Docker: %v", err)
	}
	t.Cleanup(func() { sweep(t, e) })
	return e
}

func sweep(t *testing.T, e *Engine) {
	ctx := context.WithoutCancel(t.Context())
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	found, err := e.find(ctx, filters.Arg("label", labelInstance+"="+e.cfg.Instance))
	note(err)
	for _, c := range found {
		note(e.docker.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true}))
	}
	networks, err := e.networks(ctx, e.cfg.Network)
	note(err)
	for _, n := range networks {
		note(e.removeNetwork(ctx, n.ID))
	}
	note(e.pruneNetworks(ctx))
	volumes, err := e.docker.VolumeList(ctx, volume.ListOptions{Filters: filters.NewArgs(filters.Arg("label", labelInstance+"="+e.cfg.Instance))})
	note(err)
	for _, v := range volumes.Volumes {
		note(e.docker.VolumeRemove(ctx, v.Name, true))
	}
	images, err := e.docker.ImageList(ctx, image.ListOptions{})
	note(err)
	slices.SortFunc(images, func(a, b image.Summary) int { return strings.Compare(b.ParentID, a.ParentID) }) // those without a parent last
	for _, i := range images {
		if _, marked := e.marksOf(i.RepoTags); !marked && i.Labels[labelBuiltBy] != e.cfg.Instance {
			continue
		}
		if _, err := e.docker.ImageRemove(ctx, i.ID, image.RemoveOptions{Force: true, PruneChildren: true}); !errdefs.IsNotFound(err) {
			note(err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		t.Errorf("clean up: %v", err)
	}
}

// removeNetwork removes a network. Docker 20.10 keeps the endpoint of a container that was removed while it was connected.
func (e *Engine) removeNetwork(ctx context.Context, id string) error {
	found, err := e.docker.NetworkInspect(ctx, id, network.InspectOptions{})
	if err != nil {
		return err
	}
	for _, endpoint := range found.Containers {
		if err := e.docker.NetworkDisconnect(ctx, id, endpoint.Name, true); err != nil {
			return err
		}
	}
	return e.docker.NetworkRemove(ctx, id)
}

// tag is an image name of this Engine alone.
func (e *Engine) tag(version string) string {
	return deploy.BuiltPrefix + e.cfg.Instance + ":" + version
}

// sampleImage is the sample program's image.
func sampleImage(t *testing.T, e *Engine) string {
	t.Helper()
	binary, err := os.ReadFile(filepath.Join(deploytest.SampleCheckout(t), "sampleapp"))
	if err != nil {
		t.Fatal(err)
	}
	return importImage(t, e, "sample", "/sampleapp", binary)
}

// importImage makes what a build of this Engine would of one program, in less time.
func importImage(t *testing.T, e *Engine, version, name string, binary []byte, words ...string) string {
	t.Helper()
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	errs := []error{w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(binary))})}
	_, err := w.Write(binary)
	entrypoint, jsonErr := json.Marshal(append([]string{name}, words...))
	if err := errors.Join(append(errs, err, w.Close(), jsonErr)...); err != nil {
		t.Fatal(err)
	}
	changes := []string{"ENTRYPOINT " + string(entrypoint)}
	for label, value := range e.imageLabels(deploy.BuildSpec{}) {
		changes = append(changes, fmt.Sprintf("LABEL %s=%q", label, value))
	}
	answer, err := e.docker.ImageImport(t.Context(), image.ImportSource{Source: &content, SourceName: "-"}, e.tag(version), image.ImportOptions{Changes: changes})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Close()
	if _, err := io.Copy(io.Discard, answer); err != nil {
		t.Fatal(err)
	}
	found, err := e.docker.ImageInspect(t.Context(), e.tag(version))
	if err != nil {
		t.Fatal(err)
	}
	return found.ID
}

func mustBuild(t *testing.T, e *Engine, spec deploy.BuildSpec) string {
	t.Helper()
	var log bytes.Buffer
	id, err := e.Build(t.Context(), spec, &log)
	if err != nil {
		t.Fatalf("build: %v\n%s", err, log.String())
	}
	return id
}

var lastDeployment atomic.Int64

// release is one of a unique name that runs an image.
func release(e *Engine, image string) db.Release {
	n := lastDeployment.Add(1)
	return db.Release{
		ID:           db.ReleaseID("tf-" + strings.TrimPrefix(e.cfg.Instance, "tinyforge-") + "-" + string(rune('a'+n%26)) + rand.Text()[:4]),
		WorkloadID:   7,
		Workload:     e.cfg.Instance,
		DeploymentID: n,
		Image:        image,
		Port:         8080,
		Env:          map[string]string{"VERSION": "one"},
	}
}

// toolDir is a folder with the test tool, a Dockerfile and other files.
func toolDir(t *testing.T, dockerfile string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	binary, err := toolBinary(t)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "tool", string(binary))
	write(t, dir, "Dockerfile", "FROM scratch\nCOPY --chmod=0755 tool /tool\n"+dockerfile)
	for name, text := range files {
		write(t, dir, name, text)
	}
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

var tool struct {
	sync.Once
	binary []byte
	err    error
}

func toolBinary(t *testing.T) ([]byte, error) {
	tool.Do(func() {
		file := filepath.Join(t.TempDir(), "tool")
		deploytest.BuildStatic(t, file, "./testdata/tool")
		tool.binary, tool.err = os.ReadFile(file)
	})
	return tool.binary, tool.err
}

// failure returns the text for the user, and fails the test when the error is not a *deploy.Failure.
func failure(t *testing.T, err error) string {
	t.Helper()
	f, ok := errors.AsType[*deploy.Failure](err)
	if !ok {
		t.Fatalf("error is %v (%T), want a *deploy.Failure", err, err)
	}
	if n := len([]rune(f.Text)); n > textLimit {
		t.Errorf("failure has %d characters: %s", n, f.Text)
	}
	return f.Text
}

func start(t *testing.T, e *Engine, r db.Release) deploy.Instance {
	t.Helper()
	in, err := e.Start(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func inspect(t *testing.T, e *Engine, id db.ReleaseID) deploy.Instance {
	t.Helper()
	in, err := e.Inspect(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// await polls until a container did something by itself.
func await(t *testing.T, e *Engine, id db.ReleaseID, want func(deploy.Instance) bool) deploy.Instance {
	t.Helper()
	return poll(t, func() deploy.Instance { return inspect(t, e, id) }, want)
}

// awaitLines polls until a container has printed what is wanted.
func awaitLines(t *testing.T, e *Engine, id db.ReleaseID, want func(lines []string) bool) []string {
	t.Helper()
	return poll(t, func() []string {
		lines, err := e.Tail(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return lines
	}, want)
}

func poll[T any](t *testing.T, look func() T, want func(T) bool) T {
	t.Helper()
	deadline, tick := time.After(30*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for {
		seen := look()
		if want(seen) {
			return seen
		}
		select {
		case <-deadline:
			t.Fatalf("waited in vain; it is %.2000v", seen)
		case <-tick.C:
		}
	}
}

// toolImage runs the test tool with these words.
func toolImage(t *testing.T, e *Engine, words ...string) string {
	t.Helper()
	binary, err := toolBinary(t)
	if err != nil {
		t.Fatal(err)
	}
	return importImage(t, e, words[0], "/tool", binary, words...)
}

// signalLog closes seen when a text was written.
type signalLog struct {
	text string
	seen chan struct{}

	mu   sync.Mutex
	all  bytes.Buffer
	done bool
}

func (l *signalLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Write(p)
	if !l.done && strings.Contains(l.all.String(), l.text) {
		l.done = true
		close(l.seen)
	}
	return len(p), nil
}
