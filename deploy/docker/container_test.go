package docker

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/network"

	"tinyforge/db"
	"tinyforge/deploy"
)

// self starts the tool and returns what it says of itself.
func self(t *testing.T, e *Engine, image string, change func(*db.Release)) []string {
	t.Helper()
	r := release(e, image)
	change(&r)
	start(t, e, r)
	return awaitLines(t, e, r.ID, func(lines []string) bool { return len(lines) == 4 })
}

// What a container is to its own program, and not only to Docker.
func TestContainerIsLimited(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	image := toolImage(t, e, "self", "", "/memory")
	for name, tt := range map[string]struct {
		change func(*db.Release)
		want   []string
	}{
		"by default": {
			func(*db.Release) {},
			// setpcap, net_bind_service, setuid, setgid, kill, fsetid, fowner, dac_override, chown
			[]string{"user 0:0", "capabilities 00000000000005fb", " writable: true", "/memory writable: false"},
		},
		"everything taken": {
			func(r *db.Release) {
				r.User, r.ReadOnly, r.Capabilities, r.Tmpfs = "1000:1001", true, []string{}, []string{"/memory"}
			},
			[]string{"user 1000:1001", "capabilities 0000000000000000", " writable: false", "/memory writable: true"},
		},
		"one capability": {
			func(r *db.Release) { r.Capabilities = []string{"NET_BIND_SERVICE"} },
			[]string{"user 0:0", "capabilities 0000000000000400", " writable: true", "/memory writable: false"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := self(t, e, image, tt.change); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTmpfsHasASize(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	r := release(e, toolImage(t, e, "space", "/small"))
	r.ReadOnly, r.Tmpfs = true, []string{"/small:1048576"}
	start(t, e, r)
	lines := awaitLines(t, e, r.ID, func(lines []string) bool { return len(lines) == 1 })
	if lines[0] != "/small has 1048576 bytes" {
		t.Errorf("it says %q", lines)
	}
}

// TestMoreThanTheMachineHas: what Docker refuses is said in its words, which name the bounds.
func TestMoreThanTheMachineHas(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	r := release(e, toolImage(t, e, "wait"))
	r.CPUs = 1024
	_, err := e.Start(t.Context(), r)
	if text := failure(t, err); !strings.Contains(strings.ToLower(text), "docker refuses the container: range of cpus is from 0.01 to") {
		t.Errorf("failure is %q", text)
	}
	if in := inspect(t, e, r.ID); in.State != deploy.Missing {
		t.Errorf("it left %+v", in)
	}
}

func TestContainerIsGivenItsShare(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	r := release(e, toolImage(t, e, "wait"))
	r.Memory, r.CPUs = 64<<20, 0.5
	start(t, e, r)
	c, err := e.docker.ContainerInspect(t.Context(), string(r.ID))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.HostConfig.Resources; got.Memory != 64<<20 || got.NanoCPUs != 500_000_000 {
		t.Errorf("it may use %d bytes and %d billionths of a CPU", got.Memory, got.NanoCPUs)
	}
}

func TestContainerLogLimits(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	r := release(e, toolImage(t, e, "wait"))
	r.LogSize, r.LogFiles = 1<<20, 2
	start(t, e, r)
	c, err := e.docker.ContainerInspect(t.Context(), string(r.ID))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.HostConfig.LogConfig.Config; got["max-size"] != "1048576" || got["max-file"] != "2" {
		t.Errorf("the log is limited by %v", got)
	}
}

// TestNewerTinyforgeLeavesContainersBe: the hash of a release that uses nothing new is what it was, or every container
// would be replaced when Tinyforge is upgraded.
func TestNewerTinyforgeLeavesContainersBe(t *testing.T) {
	t.Parallel()
	r := db.Release{ID: "tf-web-1", WorkloadID: 1, Workload: "web", DeploymentID: 1, Image: "sha256:1", Port: 8080,
		Env: map[string]string{"A": "1"}, Volumes: []db.Volume{{Name: "data", Path: "/data"}}, Memory: 1, CPUs: 1}
	if got := (&Engine{}).configHash(r); got != "563aa091e75a16a323670dd2d68c39b8" {
		t.Errorf("the hash is %s", got)
	}
}

// TestSharedNetworkOfSomebodyElse: a config must not get a container into a network that was made for something else.
func TestSharedNetworkOfSomebodyElse(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	made, err := e.docker.NetworkCreate(t.Context(), e.sharedNetwork("back"), network.CreateOptions{Driver: "bridge"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.docker.NetworkRemove(context.WithoutCancel(t.Context()), made.ID) })
	r := release(e, toolImage(t, e, "wait"))
	r.Networks = []string{"back"}
	_, err = e.Start(t.Context(), r)
	want := "The network " + e.sharedNetwork("back") + " exists in Docker and is not ours: take another name, or remove it"
	if text := failure(t, err); text != want {
		t.Errorf("failure is %q", text)
	}
	if in := inspect(t, e, r.ID); in.State == deploy.Running {
		t.Error("it runs")
	}
	if err := e.pruneNetworks(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found, err := e.networks(t.Context(), e.sharedNetwork("back")); err != nil || len(found) != 1 {
		t.Errorf("it was removed: %v, %v", found, err)
	}
	if err := e.docker.NetworkRemove(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	if in := start(t, e, r); in.State != deploy.Running {
		t.Errorf("without it the release is %+v", in)
	}
}

// TestBlueAndGreenShareAName: both answer to the workload's name while both run, and the name outlives blue.
func TestBlueAndGreenShareAName(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	image := toolImage(t, e, "wait")
	blue, green := release(e, image), release(e, image)
	for _, r := range []*db.Release{&blue, &green} {
		r.Workload, r.Networks = "api", []string{"back"}
	}
	found := func(want string) {
		t.Helper()
		r := release(e, toolImage(t, e, "addresses", "api"))
		r.Networks = []string{"back"}
		start(t, e, r)
		lines := awaitLines(t, e, r.ID, func(lines []string) bool { return len(lines) == 1 })
		if lines[0] != "api has "+want+" addresses" {
			t.Errorf("found %q, want %s", lines, want)
		}
	}
	start(t, e, blue)
	found("1")
	start(t, e, green)
	found("2")
	if err := e.Remove(t.Context(), blue.ID); err != nil {
		t.Fatal(err)
	}
	found("1")
}

func TestSharedNetworks(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	server := release(e, toolImage(t, e, "wait"))
	server.Workload, server.Networks = "database", []string{"back", "monitoring"}
	start(t, e, server)
	reach := toolImage(t, e, "reach", "database", string(server.ID))
	client := func(networks ...string) ([]string, db.ReleaseID) {
		r := release(e, reach)
		r.Networks = networks
		start(t, e, r)
		return awaitLines(t, e, r.ID, func(lines []string) bool { return len(lines) == 2 }), r.ID
	}
	id := string(server.ID)
	if lines, _ := client(); !slices.Equal(lines, []string{"database known: false", id + " known: true"}) {
		t.Errorf("without a shared network: %q", lines)
	}
	lines, both := client("back")
	if !slices.Equal(lines, []string{"database known: true", id + " known: true"}) {
		t.Errorf("on the shared network: %q", lines)
	}

	// A shared network that somebody removed while its containers were stopped is made anew.
	if err := e.Stop(t.Context(), server.ID); err != nil {
		t.Fatal(err)
	}
	if err := e.docker.NetworkDisconnect(t.Context(), e.sharedNetwork("monitoring"), id, true); err != nil {
		t.Fatal(err)
	}
	if err := e.pruneNetworks(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found, err := e.networks(t.Context(), e.sharedNetwork("monitoring")); err != nil || len(found) != 0 {
		t.Errorf("a network that nobody names is still there: %v, %v", found, err)
	}
	if found, err := e.networks(t.Context(), e.sharedNetwork("back")); err != nil || len(found) != 1 {
		t.Errorf("a network that a container names is gone: %v, %v", found, err)
	}
	start(t, e, server)
	c, err := e.docker.ContainerInspect(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.NetworkSettings.Networks) != 3 {
		t.Errorf("started again it is on %v", c.NetworkSettings.Networks)
	}
	for _, gone := range []db.ReleaseID{server.ID, both} {
		if err := e.Remove(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.pruneNetworks(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"back", "monitoring"} {
		if found, err := e.networks(t.Context(), e.sharedNetwork(name)); err != nil || len(found) != 0 {
			t.Errorf("%s is still there: %v, %v", name, found, err)
		}
	}
}
