package compose

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/compose/v5/pkg/api"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// TestStackRuntime runs the suite of every runtime with stacks of one service.
func TestStackRuntime(t *testing.T) {
	h := newHost(t)
	suite := single{h}
	deploytest.ExerciseRuntime(t, suite, func(*testing.T) db.Release {
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
func (s single) Tail(ctx context.Context, id db.ReleaseID) ([]string, error) {
	return s.rt.Tail(ctx, id)
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
		"crashes":               {strings.Replace(two("two"), "VERSION: db", "VERSION: db, EXIT_AFTER: 0s, EXIT_CODE: '4'", 1), " and had to be restarted"},
		"a job fails":           {two("two") + "services:\n  migrate: {image: x, restart: 'no', environment: {EXIT_AFTER: 0s, EXIT_CODE: '5'}}\n", "Service migrate ended with exit code 5"},
		"no such program":       {two("two", "entrypoint: [/absent]"), "/absent"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.rt.cfg.Stays = time.Second // what crashes is to be seen to
			text := strings.Replace(tt.text, "volumes: {data: {}}\nservices:\n", "", 1)
			if text != tt.text {
				text += "volumes: {data: {}}\n"
			}
			blue := h.from(1, two("one"))
			h.start(blue)
			green := h.from(2, text)
			_, err := h.rt.Start(t.Context(), green)
			if got := refusal(t, err); !strings.Contains(got, tt.want) || strings.Contains(got, "exit code 0") {
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
	if list, err := h.rt.List(t.Context()); err != nil || len(list) != 1 || list[0].State != deploy.Exited || list[0].Upstream != up {
		t.Errorf("with db down it is listed as %+v, %v", list, err)
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
		if limits.Memory != want[0] || limits.PidsLimit == nil || *limits.PidsLimit != want[1] || len(limits.CapDrop) != 1 ||
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
	if f, _ := errors.AsType[*deploy.Failure](err); f.Fault == nil || f.Fault.Code != "host_port_busy" || f.Fault.Values["port"] != port {
		t.Errorf("the fault is %+v of %q (%v), want port %s", f.Fault, f.Text, f.Err, port)
	}
}
