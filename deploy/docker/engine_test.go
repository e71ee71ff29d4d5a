package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/docker/docker/api/types/container"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

func TestEngine(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	image := sampleImage(t, e)
	fresh := func(*testing.T) db.Release { return release(e, image) }
	deploytest.ExerciseRuntime(t, e, fresh)
	deploytest.ExerciseRights(t, e, fresh)
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{{}, {Instance: "x", Network: "host"}, {Instance: "x", Host: "nonsense"}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("New(%+v) accepts it", cfg)
		}
	}
}

// The release's name is the container's, and what the proxy forwards to; two releases of a workload run side by side.
func TestS6_GreenHasANameOfItsOwn(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	image := sampleImage(t, e)
	blue, green := release(e, image), release(e, image)
	start(t, e, blue)
	in := start(t, e, green)
	c, err := e.docker.ContainerInspect(t.Context(), string(green.ID))
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "/"+string(green.ID) || in.Upstream.Name != string(green.ID) {
		t.Errorf("container is %q, upstream is %+v, release is %q", c.Name, in.Upstream, green.ID)
	}
	if b := inspect(t, e, blue.ID); b.State != deploy.Running || b.Upstream.Addr == in.Upstream.Addr {
		t.Errorf("blue is %+v beside %+v", b, in)
	}
}

func TestStartContainer(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	r := release(e, sampleImage(t, e))
	r.Memory, r.CPUs = 64<<20, 0.5
	r.Volumes = []db.Volume{{Name: "data", Path: "/data"}, {Name: "conf", Path: "/conf", ReadOnly: true}}
	start(t, e, r)
	c, err := e.docker.ContainerInspect(t.Context(), string(r.ID))
	if err != nil {
		t.Fatal(err)
	}
	host := c.HostConfig
	for what, ok := range map[string]bool{
		"memory":              host.Memory == 64<<20,
		"cpus":                host.NanoCPUs == 5e8,
		"restart policy":      host.RestartPolicy.Name == container.RestartPolicyUnlessStopped,
		"no capabilities":     slices.Equal(host.CapDrop, []string{"ALL"}) && len(host.CapAdd) == len(usualCapabilities),
		"limit of processes":  host.PidsLimit != nil && *host.PidsLimit == 4096,
		"no new privileges":   slices.Contains(host.SecurityOpt, "no-new-privileges"),
		"log limits":          host.LogConfig.Type == "json-file" && host.LogConfig.Config["max-size"] == "10485760" && host.LogConfig.Config["max-file"] == "3",
		"no published ports":  len(host.PortBindings) == 0 && !host.PublishAllPorts,
		"alias":               slices.Contains(c.NetworkSettings.Networks[e.cfg.Network].Aliases, string(r.ID)),
		"one network":         len(c.NetworkSettings.Networks) == 1,
		"volumes":             mounted(c.Mounts, "tf-"+r.Workload+"-data", "/data", true) && mounted(c.Mounts, "tf-"+r.Workload+"-conf", "/conf", false),
		"environment":         slices.Contains(c.Config.Env, "VERSION=one"),
		"provenance":          c.Config.Labels[labelInstance] == e.cfg.Instance && c.Config.Labels[labelWorkload] == "7",
		"release and attempt": c.Config.Labels[labelRelease] == string(r.ID) && c.Config.Labels[labelDeployment] == fmt.Sprint(r.DeploymentID),
	} {
		if !ok {
			t.Errorf("%s is not as wanted: %+v %+v %+v", what, host, c.Mounts, c.Config)
		}
	}
}

func mounted(mounts []container.MountPoint, name, path string, writable bool) bool {
	return slices.ContainsFunc(mounts, func(m container.MountPoint) bool {
		return m.Name == name && m.Destination == path && m.RW == writable
	})
}

func TestStartLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	e, other := testEngine(t), testEngine(t)
	image := sampleImage(t, e)
	r := release(e, image)
	start(t, other, r)
	_, err := e.Start(t.Context(), r)
	if text := failure(t, err); !strings.Contains(text, string(r.ID)) || !strings.Contains(text, "not ours") {
		t.Errorf("failure is %q", text)
	}
	if in := inspect(t, e, r.ID); in.State != deploy.Missing {
		t.Errorf("somebody else's container is %+v", in)
	}
	if err := errors.Join(e.Stop(t.Context(), r.ID), e.Remove(t.Context(), r.ID)); err != nil {
		t.Error(err)
	}
	if list, err := e.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("List has %+v, %v", list, err)
	}
	if in := inspect(t, other, r.ID); in.State != deploy.Running {
		t.Errorf("its owner finds it %+v", in)
	}
}

func TestStartFailures(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	image := sampleImage(t, e)
	broken := mustBuild(t, e, deploy.BuildSpec{Dir: toolDir(t, `ENTRYPOINT ["/nothing"]`, nil), Context: ".", Dockerfile: "Dockerfile", Tag: e.tag("broken")})
	for name, test := range map[string]struct {
		change func(*db.Release)
		want   string
	}{
		"no such image":    {func(r *db.Release) { r.Image = "sha256:" + strings.Repeat("0", 64) }, "is gone from Docker"},
		"no such program":  {func(r *db.Release) { r.Image = broken }, "/nothing"},
		"too many cpus":    {func(r *db.Release) { r.CPUs = 1000 }, "CPUs"},
		"too small memory": {func(r *db.Release) { r.Memory = 1 }, "memory"},
		"env name":         {func(r *db.Release) { r.Env = map[string]string{"A=B": "secret"} }, `"A=B"`},
		"env value":        {func(r *db.Release) { r.Env = map[string]string{"A": "sec\x00ret"} }, `"A"`},
		"mount path":       {func(r *db.Release) { r.Volumes = []db.Volume{{Name: "data", Path: "relative"}} }, "relative"},
	} {
		t.Run(name, func(t *testing.T) {
			r := release(e, image)
			test.change(&r)
			for range 2 { // the second finds what the first left
				_, err := e.Start(t.Context(), r)
				if text := failure(t, err); !strings.Contains(text, test.want) || strings.Contains(text, "secret") {
					t.Errorf("failure is %q, want %q in it", text, test.want)
				}
			}
			if err := e.Remove(t.Context(), r.ID); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStartAfterTheNetworkWasRemoved(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	r := release(e, sampleImage(t, e))
	start(t, e, r)
	if err := e.Stop(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	if err := e.docker.NetworkRemove(t.Context(), e.cfg.Network); err != nil {
		t.Fatal(err)
	}
	if in := start(t, e, r); in.State != deploy.Running || in.Upstream.Addr == "" {
		t.Errorf("it is %+v", in)
	}
}

func TestStartWakesAPausedContainer(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	r := release(e, sampleImage(t, e))
	start(t, e, r)
	if err := e.docker.ContainerPause(t.Context(), string(r.ID)); err != nil {
		t.Fatal(err)
	}
	if in := inspect(t, e, r.ID); in.State != deploy.Exited {
		t.Errorf("paused it is %+v", in)
	}
	if in := start(t, e, r); in.State != deploy.Running {
		t.Errorf("started it is %+v", in)
	}
}

func TestStartMakesOneNetwork(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	var all sync.WaitGroup
	for range 6 {
		same, err := New(e.cfg)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			if err := same.ensureNetwork(t.Context(), same.cfg.Network); err != nil {
				t.Errorf("ensure network: %v", err)
			}
		})
	}
	all.Wait()
	if found, err := e.networks(t.Context(), e.cfg.Network); err != nil || len(found) != 1 {
		t.Errorf("there are %d networks, %v", len(found), err)
	}
}

// What the limits of a container are to the kernel, and not only to Docker.
func TestStartLimits(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	r := release(e, toolImage(t, e, "raw"))
	start(t, e, r)
	lines := awaitLines(t, e, r.ID, func(lines []string) bool { return len(lines) > 0 })
	if lines[0] != "raw socket: operation not permitted" {
		t.Errorf("it says %q", lines)
	}
	answer, err := e.docker.ContainerStatsOneShot(t.Context(), string(r.ID))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var stats container.StatsResponse
	if err := json.NewDecoder(answer.Body).Decode(&stats); err != nil || stats.PidsStats.Limit != pidsLimit {
		t.Errorf("it may have %d processes, %v", stats.PidsStats.Limit, err)
	}
}

func TestReadyNamesTheImageThatIsGone(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	r := release(e, sampleImage(t, e))
	if err := e.Ready(t.Context(), r); err != nil {
		t.Errorf("an image that is there: %v", err)
	}
	if err := e.RemoveImage(t.Context(), e.tag("sample")); err != nil {
		t.Fatal(err)
	}
	failure, ok := errors.AsType[*deploy.Failure](e.Ready(t.Context(), r))
	if !ok || !strings.Contains(failure.Text, string(r.ID)) || !strings.Contains(failure.Text, "redeploy its commit") {
		t.Errorf("an image that is gone: %v", failure)
	}
}
