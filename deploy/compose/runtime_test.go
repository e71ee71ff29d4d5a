package compose

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/compose/v5/pkg/api"
	"github.com/moby/moby/api/types/container"
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
	name := "t" + strings.ToLower(rand.Text()[:8])
	inner := &innerFake{Runtime: deploytest.NewRuntime(t, nil), network: "tinyforge-test-" + name}
	rt, err := New(Config{Instance: name, Network: inner.network, ConfigDir: filepath.Join(t.TempDir(), "none"), Patience: 30 * time.Second,
		Log: slog.New(slog.DiscardHandler)}, inner)
	must(t, err)
	inner.docker = rt.docker
	if _, err := rt.docker.Ping(t.Context(), client.PingOptions{}); err != nil {
		t.Fatalf("these tests need a running Docker: %v", err)
	}
	h := &host{t: t, rt: rt, workload: name, inner: inner}
	t.Cleanup(h.sweep)
	h.image = h.build(name+":sample", deploytest.SampleCheckout(t))
	return h
}

// build makes an image of a folder with the engine's classic builder: these tests are not about building.
func (h *host) build(tag, dir string) string {
	h.t.Helper()
	var context bytes.Buffer
	must(h.t, tarFolder(&context, dir))
	answer, err := h.rt.docker.ImageBuild(h.t.Context(), &context, client.ImageBuildOptions{Tags: []string{tag}, Remove: true, ForceRemove: true})
	must(h.t, err)
	_, err = io.Copy(io.Discard, answer.Body)
	must(h.t, err)
	found, err := h.rt.docker.ImageInspect(h.t.Context(), tag)
	must(h.t, err)
	return found.ID
}

func (h *host) sweep() {
	Sweep(h.t, h.rt, h.workload)
	_, err := h.rt.docker.ImageRemove(context.WithoutCancel(h.t.Context()), h.workload+":sample", client.ImageRemoveOptions{Force: true, PruneChildren: true})
	must(h.t, err)
}

var lastDeployment atomic.Int64

// from is the n-th release, loaded from a Compose file in which every image is the sample's.
func (h *host) from(n int64, text string) db.Release {
	h.t.Helper()
	dir := h.t.TempDir()
	must(h.t, os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(text), 0o600))
	id := db.ReleaseID("tf-" + h.workload + "-" + strconv.FormatInt(n, 10))
	in := deploy.StackInput{ID: id, Workload: h.workload, Dir: dir, Service: "web", Allow: []string{"ports"}}
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

// TestStackRuntime runs the suite of every runtime with stacks of one service.
func TestStackRuntime(t *testing.T) {
	h := newHost(t)
	suite := single{h}
	deploytest.ExerciseRuntime(t, suite, func(t *testing.T) db.Release {
		n := lastDeployment.Add(1)
		workload := fmt.Sprintf("%s%d", h.workload, n)
		return db.Release{ID: db.ReleaseID(fmt.Sprintf("tf-%s-%d", workload, n)), WorkloadID: n, Workload: workload, DeploymentID: n, Port: 8080}
	})
}

// single makes a release with Env a stack of one service that has it.
type single struct{ *host }

func (s single) Start(ctx context.Context, r db.Release) (deploy.Instance, error) {
	env := ""
	for _, name := range slices.Sorted(maps.Keys(r.Env)) {
		env += fmt.Sprintf("%s: '%s', ", name, r.Env[name])
	}
	text := fmt.Sprintf(`{"services":{"web":{"image":%q,"restart":"unless-stopped","environment":{%s},"networks":{"default":null}}},"networks":{"default":{"name":"%s_default"}}}`,
		s.image, strings.ReplaceAll(strings.TrimSuffix(env, ", "), "'", `"`), projectName(r.Workload))
	r.Env, r.Stack = nil, &db.ComposeStack{Project: []byte(text), Service: "web"}
	return s.rt.Start(ctx, r)
}
func (s single) Ready(ctx context.Context, r db.Release) error       { return s.rt.Ready(ctx, r) }
func (s single) Stop(ctx context.Context, id db.ReleaseID) error     { return s.rt.Stop(ctx, id) }
func (s single) Remove(ctx context.Context, id db.ReleaseID) error   { return s.rt.Remove(ctx, id) }
func (s single) List(ctx context.Context) ([]deploy.Instance, error) { return s.rt.List(ctx) }
func (s single) RemoveVolumes(ctx context.Context, w string) error   { return s.rt.RemoveVolumes(ctx, w) }
func (s single) Inspect(ctx context.Context, id db.ReleaseID) (deploy.Instance, error) {
	return s.rt.Inspect(ctx, id)
}

func (s single) Watch(ctx context.Context, f func(db.ReleaseID)) error { return s.rt.Watch(ctx, f) }

// TestChangedInPlace: a redeploy makes the routed service anew and leaves the other one running, and the volume.
func TestChangedInPlace(t *testing.T) {
	h := newHost(t)
	one := h.from(1, two("one"))
	in := h.start(one)
	if in.ID != one.ID || in.WorkloadID != 7 || in.DeploymentID != 1 || in.State != deploy.Running || in.Upstream.Name != string(one.ID) || in.Upstream.Port != 8080 {
		t.Errorf("started %+v", in)
	}
	if got := h.get(in.Upstream, "/"); got != "one" {
		t.Errorf("it answers %q", got)
	}
	before := h.ids()
	again := h.start(one)
	if after := h.ids(); !maps.Equal(before, after) || again.Upstream != in.Upstream {
		t.Errorf("started again, it is %v, was %v", after, before)
	}
	same := h.from(2, two("one"))
	in = h.start(same)
	after := h.ids()
	if after["web"] == before["web"] || after["db"] != before["db"] {
		t.Errorf("another release of the same: %v, was %v", after, before)
	}
	if got := h.inspect(one.ID); got.State != deploy.Missing {
		t.Errorf("the release before is %+v", got)
	}
	must(t, h.rt.Remove(t.Context(), one.ID)) // is not its own any more
	if got := h.inspect(same.ID); got.State != deploy.Running || got.Upstream != in.Upstream {
		t.Errorf("after the removal of the release before it is %+v", got)
	}
	list, err := h.rt.List(t.Context())
	must(t, err)
	if len(list) != 1 || list[0].ID != same.ID {
		t.Errorf("listed %+v", list)
	}
	must(t, h.rt.Stop(t.Context(), same.ID))
	if got := h.inspect(same.ID); got.State != deploy.Exited || got.Upstream != (deploy.Upstream{}) {
		t.Errorf("stopped it is %+v", got)
	}
	if got := h.get(h.start(same).Upstream, "/"); got != "one" {
		t.Errorf("started again it answers %q", got)
	}
}

// TestRemoveKeepsVolumes, until they are to go too.
func TestRemoveKeepsVolumes(t *testing.T) {
	h := newHost(t)
	r := h.from(1, two("one"))
	h.start(r)
	must(t, h.rt.Remove(t.Context(), r.ID))
	if got := h.inspect(r.ID); got.State != deploy.Missing {
		t.Errorf("removed it is %+v", got)
	}
	volume := projectName(h.workload) + "_data"
	if _, err := h.rt.docker.VolumeInspect(t.Context(), volume, client.VolumeInspectOptions{}); err != nil {
		t.Errorf("its volume: %v", err)
	}
	if _, err := h.rt.docker.NetworkInspect(t.Context(), projectName(h.workload)+"_default", client.NetworkInspectOptions{}); err == nil {
		t.Error("its network is left")
	}
	must(t, h.rt.RemoveVolumes(t.Context(), h.workload))
	if _, err := h.rt.docker.VolumeInspect(t.Context(), volume, client.VolumeInspectOptions{}); err == nil {
		t.Error("its volume is left")
	}
	must(t, h.rt.RemoveVolumes(t.Context(), h.workload))
}

// TestFailingUp names the service and why, and Start of the release before makes the stack whole again.
func TestFailingUp(t *testing.T) {
	sick := "healthcheck: {test: [CMD, /absent], interval: 1s, retries: 1, start_period: 0s}"
	for name, tt := range map[string]struct{ text, want string }{
		"unhealthy":             {two("two", sick), "Service db is unhealthy"},
		"unhealthy, waited for": {strings.Replace(two("two", sick), "[db]", "{db: {condition: service_healthy}}", 1), "Service db is unhealthy"},
		"crashes":               {strings.Replace(two("two"), "VERSION: db", "VERSION: db, EXIT_AFTER: 0s, EXIT_CODE: '4'", 1), "Service db ended with exit code 4 and had to be restarted"},
		"a job fails":           {two("two") + "services:\n  migrate: {image: x, restart: 'no', environment: {EXIT_AFTER: 0s, EXIT_CODE: '5'}}\n", "Service migrate ended with exit code 5"},
		"no such program":       {two("two", "entrypoint: [/absent]"), "/absent"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			text := strings.Replace(tt.text, "volumes: {data: {}}\nservices:\n", "", 1)
			if text != tt.text {
				text += "volumes: {data: {}}\n"
			}
			blue := h.from(1, two("one"))
			h.start(blue)
			green := h.from(2, text)
			_, err := h.rt.Start(t.Context(), green)
			if got := refusal(t, err); !strings.Contains(got, tt.want) {
				t.Errorf("it says %q, want %q", got, tt.want)
			}
			in := h.start(blue)
			if got := h.get(in.Upstream, "/"); got != "one" || in.ID != blue.ID {
				t.Errorf("after it, %s answers %q", in.ID, got)
			}
			must(t, h.rt.Remove(t.Context(), green.ID))
			if got := h.inspect(blue.ID); got.State != deploy.Running {
				t.Errorf("blue is %+v", got)
			}
			if ids := h.ids(); len(ids) != 2 {
				t.Errorf("services %v", ids)
			}
		})
	}
}

// TestFirstUpFails: the release that fails owns what is there, and its removal leaves nothing.
func TestFirstUpFails(t *testing.T) {
	h := newHost(t)
	green := h.from(1, two("one", "entrypoint: [/absent]"))
	if _, err := h.rt.Start(t.Context(), green); err == nil {
		t.Fatal("it started")
	}
	must(t, h.rt.Remove(t.Context(), green.ID))
	if ids := h.ids(); len(ids) > 0 {
		t.Errorf("left: %v", ids)
	}
}

// TestCutOffAnywhere cancels an up at many moments, as a kill would, and then starts either release.
func TestCutOffAnywhere(t *testing.T) {
	h := newHost(t)
	blue := h.from(1, two("one"))
	h.start(blue)
	for i := range 12 {
		green := h.from(int64(2+i), two(fmt.Sprint("two", i), fmt.Sprintf("labels: {round: '%d'}", i)))
		ctx, cancel := context.WithCancel(t.Context())
		var calls atomic.Int64
		cut := int64(1 + i*4)
		docker := counting{h.rt.docker, func() {
			if calls.Add(1) == cut {
				cancel()
			}
		}}
		service, err := newService(docker, h.rt.cfg.ConfigDir)
		must(t, err)
		rt := &Runtime{inner: h.rt.inner, docker: docker, compose: service, cfg: h.rt.cfg}
		_, err = rt.Start(ctx, green)
		cancel()
		want, version := blue, "one"
		if i%2 == 1 {
			want, version = green, fmt.Sprint("two", i)
		}
		in := h.start(want)
		if got := h.get(in.Upstream, "/"); got != version || in.ID != want.ID || in.State != deploy.Running {
			t.Fatalf("cut off at call %d (%v), %+v answers %q, want %q", cut, err, in, got, version)
		}
		if ids := h.ids(); len(ids) != 2 {
			t.Fatalf("services %v", ids)
		}
		s, err := h.rt.stack(t.Context(), projectName(h.workload))
		must(t, err)
		if len(s.members) != 2 {
			t.Fatalf("%d containers", len(s.members))
		}
	}
}

// counting calls back before each change of a container.
type counting struct {
	client.APIClient
	call func()
}

func (c counting) ContainerCreate(ctx context.Context, o client.ContainerCreateOptions) (client.ContainerCreateResult, error) {
	c.call()
	return c.APIClient.ContainerCreate(ctx, o)
}

func (c counting) ContainerStart(ctx context.Context, id string, o client.ContainerStartOptions) (client.ContainerStartResult, error) {
	c.call()
	return c.APIClient.ContainerStart(ctx, id, o)
}

func (c counting) ContainerStop(ctx context.Context, id string, o client.ContainerStopOptions) (client.ContainerStopResult, error) {
	c.call()
	return c.APIClient.ContainerStop(ctx, id, o)
}

func (c counting) ContainerRemove(ctx context.Context, id string, o client.ContainerRemoveOptions) (client.ContainerRemoveResult, error) {
	c.call()
	return c.APIClient.ContainerRemove(ctx, id, o)
}

func (c counting) ContainerRename(ctx context.Context, id string, o client.ContainerRenameOptions) (client.ContainerRenameResult, error) {
	c.call()
	return c.APIClient.ContainerRename(ctx, id, o)
}

func (c counting) ContainerInspect(ctx context.Context, id string, o client.ContainerInspectOptions) (client.ContainerInspectResult, error) {
	c.call()
	return c.APIClient.ContainerInspect(ctx, id, o)
}

// TestForeignProject: what is not ours is not touched, whatever it is called or labelled.
func TestForeignProject(t *testing.T) {
	h := newHost(t)
	project := projectName(h.workload)
	for name, labels := range map[string]map[string]string{
		"somebody's project":  {api.ProjectLabel: project, api.ServiceLabel: "web"},
		"another Tinyforge's": {api.ProjectLabel: project, api.ServiceLabel: "web", labelInstance: "other", labelRelease: "tf-x-1", labelRouted: "true"},
		"copied labels":       {api.ProjectLabel: project, api.ServiceLabel: "web", labelInstance: h.workload, labelRelease: "tf-x-1", labelRouted: "true"},
	} {
		t.Run(name, func(t *testing.T) {
			made, err := h.rt.docker.ContainerCreate(t.Context(), client.ContainerCreateOptions{
				Name: h.workload + "-foreign", Config: &container.Config{Image: h.image, Labels: labels}})
			must(t, err)
			defer func() {
				_, err := h.rt.docker.ContainerRemove(context.WithoutCancel(t.Context()), made.ID, client.ContainerRemoveOptions{Force: true})
				must(t, err) // it is still there
			}()
			r := h.from(1, two("one"))
			_, err = h.rt.Start(t.Context(), r)
			if got := refusal(t, err); !strings.Contains(got, "remove it, or rename the workload") {
				t.Errorf("it says %q", got)
			}
			must(t, h.rt.Remove(t.Context(), "tf-x-1"))
			must(t, h.rt.Remove(t.Context(), r.ID))
			if list, err := h.rt.List(t.Context()); err != nil || len(list) > 0 {
				t.Errorf("listed %+v, %v", list, err)
			}
		})
	}
}

// TestOtherServiceDown: the stack does not run as it should, and what is routed goes on.
func TestOtherServiceDown(t *testing.T) {
	h := newHost(t)
	r := h.from(1, two("one"))
	up := h.start(r).Upstream
	_, err := h.rt.docker.ContainerStop(t.Context(), h.ids()["db"], client.ContainerStopOptions{})
	must(t, err)
	if in := h.inspect(r.ID); in.State != deploy.Exited || in.Service != "db" || in.Upstream != up {
		t.Errorf("with db down it is %+v", in)
	}
	if in := h.start(r); in.State != deploy.Running || in.Upstream != up {
		t.Errorf("started it is %+v", in)
	}
}

// TestSharedNetwork: the routed service alone is on it, by the release's name and not by its own, and is made anew when the
// network was.
func TestSharedNetwork(t *testing.T) {
	h := newHost(t)
	r := h.from(1, two("one"))
	h.start(r)
	s, err := h.rt.stack(t.Context(), projectName(h.workload))
	must(t, err)
	for _, m := range s.members {
		endpoint := m.endpoint(h.inner.network)
		if (endpoint != nil) != m.routed() {
			t.Errorf("%s on the shared network: %t", m.service(), endpoint != nil)
		}
		if endpoint != nil && (!slices.Contains(endpoint.Aliases, string(r.ID)) || slices.Contains(endpoint.Aliases, "web")) {
			t.Errorf("its names there are %q", endpoint.Aliases)
		}
	}
	must(t, h.rt.Stop(t.Context(), r.ID))
	_, err = h.rt.docker.NetworkRemove(t.Context(), h.inner.network, client.NetworkRemoveOptions{})
	must(t, err)
	if got := h.get(h.start(r).Upstream, "/"); got != "one" {
		t.Errorf("it answers %q", got)
	}
}

// TestLimits are those of the file, and of every container of ours.
func TestLimits(t *testing.T) {
	h := newHost(t)
	r := h.from(1, web("deploy: {resources: {limits: {memory: 64m, cpus: '0.5'}}}")+"  db: {image: x, mem_limit: 32m, pids_limit: 100}\n")
	h.start(r)
	s, err := h.rt.stack(t.Context(), projectName(h.workload))
	must(t, err)
	for _, m := range s.members {
		limits := m.detail.HostConfig
		want := map[string][2]int64{"web": {64 << 20, pidsLimit}, "db": {32 << 20, 100}}[m.service()]
		if limits.Memory != want[0] || limits.PidsLimit == nil || *limits.PidsLimit != want[1] || !slices.Contains(limits.CapDrop, "NET_RAW") ||
			limits.RestartPolicy.Name != "unless-stopped" || limits.LogConfig.Config["max-size"] == "" || !slices.Contains(limits.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s: %s", m.service(), asJSON(t, limits))
		}
	}
}

// TestImageGone says what to do.
func TestImageGone(t *testing.T) {
	h := newHost(t)
	r := h.from(1, strings.ReplaceAll(two("one"), "image: x", "image: y"))
	r.Stack.Project = []byte(strings.ReplaceAll(string(r.Stack.Project), h.image, "sha256:"+strings.Repeat("0", 64)))
	_, err := h.rt.Start(t.Context(), r)
	if got := refusal(t, err); got != "An image of the stack is gone from Docker: deploy again to make it anew" {
		t.Errorf("it says %q", got)
	}
}

// TestPortTaken names the reason.
func TestPortTaken(t *testing.T) {
	h := newHost(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	r := h.from(1, web("ports: ['127.0.0.1:"+port+":8080']"))
	_, err = h.rt.Start(t.Context(), r)
	if got := refusal(t, err); !strings.HasPrefix(got, "A port of the machine that the stack wants is taken: ") {
		t.Errorf("it says %q", got)
	}
}
