package docker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/api/types/swarm"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
	"tinyforge/deploy/swarmtest"
)

// nodes are the Swarm of all tests here: starting one for each would leave no machine for the tests.
var nodes struct {
	sync.Once
	cluster *swarmtest.Cluster
	image   string // the sample program's, as the nodes know it
	err     error
}

// endNodes is for the end of all tests.
func endNodes() {
	if nodes.cluster != nil {
		_ = nodes.cluster.Down()
	}
}

// testSwarm is a Swarm of its own instance and network on three nodes, and the sample program's image.
func testSwarm(t *testing.T) (*Swarm, *swarmtest.Cluster, string) {
	t.Helper()
	nodes.Do(func() {
		if nodes.cluster, nodes.err = swarmtest.Up(context.WithoutCancel(t.Context()), swarmtest.Config{Nodes: 3}); nodes.err == nil {
			nodes.image, nodes.err = nodes.cluster.PushSample(context.WithoutCancel(t.Context()), "sample", "one")
		}
	})
	switch {
	case errors.Is(nodes.err, swarmtest.ErrUnable) && os.Getenv("CI") != "true":
		t.Skip(nodes.err)
	case nodes.err != nil:
		t.Fatal(nodes.err)
	}
	name := "tinyforge-test-" + strings.ToLower(rand.Text()[:10])
	e, err := New(Config{Host: nodes.cluster.Nodes[0].Host, Instance: name, Network: name, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return NewSwarm(e, SwarmConfig{Look: 200 * time.Millisecond, Homeless: 3 * time.Second}), nodes.cluster, nodes.image
}

func swarmRelease(s *Swarm, image string) db.Release {
	r := release(s.engine, image)
	r.Runtime = "swarm"
	return r
}

func TestSwarm(t *testing.T) {
	t.Parallel()
	s, _, image := testSwarm(t)
	deploytest.ExerciseRuntime(t, s, func(*testing.T) db.Release { return swarmRelease(s, image) })
}

// TestServiceOfARelease: what Swarm was told of it, and what only several nodes show.
func TestServiceOfARelease(t *testing.T) {
	t.Parallel()
	s, cluster, image := testSwarm(t)
	r := swarmRelease(s, image)
	r.Replicas, r.Memory, r.CPUs, r.ReadOnly, r.User = 3, 64<<20, 0.5, true, "1000:1000"
	r.Constraints, r.Tmpfs = []string{"node.hostname!=nowhere"}, []string{"/small:1048576"}
	r.Env["PASSWORD"], r.Env["VERSION_FILE"] = "s3cret", "/run/secrets/PASSWORD"
	r.SecretFiles = []string{"PASSWORD"}
	in, err := s.Start(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if got := in.Upstream.Addrs(); len(got) != 3 || !onEach(got, cluster) {
		t.Errorf("three replicas answer at %q", got)
	}
	for _, addr := range in.Upstream.Addrs() {
		if text, err := visit(t, addr); err != nil || text != "s3cret\n" {
			t.Errorf("with its secret in a file it answers %q, %v", text, err)
		}
	}
	service, err := s.named(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	task := service.Spec.TaskTemplate
	for what, ok := range map[string]bool{
		"memory":             task.Resources.Limits.MemoryBytes == 64<<20,
		"cpus":               task.Resources.Limits.NanoCPUs == 5e8,
		"pids":               task.Resources.Limits.Pids == pidsLimit,
		"constraints":        slices.Equal(task.Placement.Constraints, r.Constraints),
		"no secret in env":   !slices.ContainsFunc(task.ContainerSpec.Env, func(s string) bool { return strings.Contains(s, "s3cret") }),
		"capabilities":       slices.Equal(task.ContainerSpec.CapabilityDrop, []string{"ALL"}) && slices.Equal(task.ContainerSpec.CapabilityAdd, prefixed(usualCapabilities)),
		"read-only":          task.ContainerSpec.ReadOnly,
		"user":               task.ContainerSpec.User == r.User,
		"folder in memory":   slices.ContainsFunc(task.ContainerSpec.Mounts, func(m mount.Mount) bool { return m.Target == "/small" && m.TmpfsOptions.SizeBytes == 1<<20 }),
		"no virtual address": service.Spec.EndpointSpec.Mode == swarm.ResolutionModeDNSRR,
	} {
		if !ok {
			t.Errorf("%s: service is %+v", what, service.Spec)
		}
	}
	if err := s.Remove(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	if left, err := s.secretsOf(t.Context(), r.ID); err != nil || len(left) > 0 {
		t.Errorf("secrets left: %v, %v", left, err)
	}
}

// TestEnvironmentOnASwarmIsLiteral: Docker carries out what looks like a template in the environment of a service.
func TestEnvironmentOnASwarmIsLiteral(t *testing.T) {
	t.Parallel()
	s, _, image := testSwarm(t)
	r := swarmRelease(s, image)
	r.Env["VERSION"] = `a{{.Node.ID}}b{{"{{"}}c}}d{{`
	in := mustStart(t, s, r)
	if text, err := visit(t, in.Upstream.Addr); err != nil || text != r.Env["VERSION"]+"\n" {
		t.Errorf("it answers %q, %v, want %q", text, err, r.Env["VERSION"])
	}
}

// TestServiceIsNobodyElses: what could be another workload's, or the image's, is not.
func TestServiceIsNobodyElses(t *testing.T) {
	t.Parallel()
	s := NewSwarm(&Engine{cfg: Config{Instance: "one", Registry: &Registry{Host: "here.example", Prefix: "apps", User: "me", Password: "secret"}}}, SwarmConfig{})
	names := map[string]bool{}
	for _, r := range []db.Release{
		{Workload: "shop", Volumes: []db.Volume{{Name: "db-data", Path: "/d"}}}, {Workload: "shop-db", Volumes: []db.Volume{{Name: "data", Path: "/d"}}},
	} {
		spec := s.spec(r, nil, nil).TaskTemplate.ContainerSpec
		names[spec.Mounts[0].Source] = true
		for _, label := range []string{labelProject, labelRelease, labelInstance, labelVolume} {
			if value, set := spec.Labels[label]; !set || value != "" {
				t.Errorf("its container has the label %s %q, %t", label, value, set)
			}
		}
		if !spec.Privileges.NoNewPrivileges { // which Docker 20.10 would not show
			t.Error("its container may get privileges")
		}
	}
	if len(names) != 2 {
		t.Errorf("the volumes of two workloads are %v", names)
	}
	for image, want := range map[string]bool{"here.example/apps/web@sha256:" + strings.Repeat("0", 64): true, "there.example/apps/web:1": false, "here.example/other/web:1": false} {
		if auth, err := s.auth(image); err != nil || (auth != "") != want {
			t.Errorf("the account for %s is %q, %v", image, auth, err)
		}
	}
}

// TestSecretsCannotBeTried: no label or name can be made of a release by who does not have the key, but for the one secret value.
func TestSecretsCannotBeTried(t *testing.T) {
	t.Parallel()
	secret := db.Release{ID: "tf-web-1", Env: map[string]string{"PIN": "1234"}, SecretFiles: []string{"PIN"}}
	plain := secret
	plain.SecretFiles = nil
	for what, tt := range map[string]struct {
		r    db.Release
		same bool
	}{"files": {secret, false}, "none": {plain, true}} {
		seen := map[string]bool{}
		for _, key := range []string{"one", "another"} {
			s := NewSwarm(&Engine{cfg: Config{HashKey: []byte(key)}}, SwarmConfig{})
			spec := s.spec(tt.r, nil, nil)
			seen[fmt.Sprint(spec.Labels, spec.TaskTemplate.ContainerSpec.Labels, s.templateHash(tt.r))] = true
			other := tt.r
			other.Env = map[string]string{"PIN": "1235"}
			if s.templateHash(other) == s.templateHash(tt.r) {
				t.Errorf("%s: another value gives the same hash", what)
			}
		}
		if same := len(seen) == 1; same != tt.same {
			t.Errorf("%s: with another key the labels are the same: %t", what, same)
		}
	}
}

// TestNodesGetAnAccountOfTheirOwn: the one that pushes and deletes stays here when there is another one for them.
func TestNodesGetAnAccountOfTheirOwn(t *testing.T) {
	t.Parallel()
	own := &Registry{Host: "here.example", Prefix: "apps", User: "me", Password: "secret"}
	s := NewSwarm(&Engine{cfg: Config{Registry: own}}, SwarmConfig{})
	for user, nodes := range map[string]*deploy.RegistryAuth{"me": nil, "reader": {Username: "reader", Password: "read"}} {
		own.Nodes = nodes
		encoded, err := s.auth("here.example/apps/web:1")
		if err != nil {
			t.Fatal(err)
		}
		given, err := registry.DecodeAuthConfig(encoded)
		if err != nil || given.Username != user || given.ServerAddress != "here.example" {
			t.Errorf("the nodes get the account of %q, %v, want %s's", given.Username, err, user)
		}
		if pushes, err := own.auth(); err != nil || pushes == encoded != (nodes == nil) {
			t.Errorf("it pushes as %s, %v", pushes, err)
		}
	}
}

// onEach tells whether each node has one of the addresses.
func onEach(addrs []string, cluster *swarmtest.Cluster) bool {
	for _, n := range cluster.Nodes {
		if !slices.ContainsFunc(addrs, func(addr string) bool { return strings.HasPrefix(addr, n.IP+":") }) {
			return false
		}
	}
	return true
}

// TestScaledInPlace: more replicas leave those be that run, and a change that does not work is taken back by Swarm, which is a failure.
func TestScaledInPlace(t *testing.T) {
	t.Parallel()
	s, _, image := testSwarm(t)
	r := swarmRelease(s, image)
	r.Replicas = 2
	before := mustStart(t, s, r).Upstream.Addrs()
	r.Replicas = 4
	after := mustStart(t, s, r).Upstream.Addrs()
	if len(after) != 4 || !slices.Contains(after, before[0]) || !slices.Contains(after, before[1]) {
		t.Errorf("scaled from %q to %q", before, after)
	}
	r.Replicas = 1
	if fewer := mustStart(t, s, r).Upstream.Addrs(); len(fewer) != 1 || !slices.Contains(after, fewer[0]) {
		t.Errorf("scaled from %q to %q", after, fewer)
	}
	service, err := s.named(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	byHand := uint64(3)
	service.Spec.Mode.Replicated.Replicas = &byHand
	if err := s.update(t.Context(), *service, service.Spec); err != nil {
		t.Fatal(err)
	}
	if in, err := s.Inspect(t.Context(), r.ID); err != nil || in.Replicas != 3 {
		t.Errorf("scaled by hand it is %+v, %v", in, err)
	}
	if in := mustStart(t, s, r); in.Replicas != 1 || len(in.Upstream.Addrs()) != 1 {
		t.Errorf("started again it is %+v", in)
	}

	broken := r
	broken.Env = map[string]string{"VERSION": "one", "EXIT_AFTER": "0s"}
	broken.Replicas = 2
	_, err = s.Start(t.Context(), broken)
	if text := failure(t, err); !strings.Contains(text, "Swarm took the change back") || !strings.Contains(text, "non-zero exit (1)") {
		t.Errorf("failure is %q", text)
	}
	in := mustStart(t, s, r)
	if text, err := visit(t, in.Upstream.Addr); err != nil || text != "one\n" || in.Restarts > 0 {
		t.Errorf("what served before answers %q, %v, and is %+v", text, err, in)
	}
}

// TestSwarmSaysWhyNot: each failure names what to look at, and none by what an image could be read.
func TestSwarmSaysWhyNot(t *testing.T) {
	t.Parallel()
	s, cluster, image := testSwarm(t)
	for name, tt := range map[string]struct {
		change func(*db.Release)
		want   string
	}{
		"no node": {func(r *db.Release) { r.Constraints = []string{"node.hostname==nowhere"} }, "Swarm finds no node for 1 of 1 replicas: no suitable node (scheduling constraints not satisfied on 3 nodes)"},
		"no room": {func(r *db.Release) {
			r.Image, r.Replicas = cluster.Registry+"/absent@sha256:"+strings.Repeat("0", 64), 6
		}, "No node could start the container: on "},
		"nonsense":  {func(r *db.Release) { r.Constraints = []string{"nonsense"} }, "Swarm refuses the service: "},
		"no secret": {func(r *db.Release) { r.SecretFiles = []string{"ABSENT"} }, `secret_files: there is no environment variable "ABSENT"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := swarmRelease(s, image)
			tt.change(&r)
			_, err := s.Start(t.Context(), r)
			if text := failure(t, err); !strings.HasPrefix(text, tt.want) || strings.Contains(text, "sha256") {
				t.Errorf("failure is %q, want %q", text, tt.want)
			}
			if tail, err := s.Tail(t.Context(), r.ID); err != nil || strings.Contains(fmt.Sprint(tail), "sha256") {
				t.Errorf("its last lines are %q, %v", tail, err)
			}
			if err := s.Remove(t.Context(), r.ID); err != nil {
				t.Error(err)
			}
		})
	}
	alone := NewSwarm(testEngine(t), SwarmConfig{})
	_, err := alone.Start(t.Context(), swarmRelease(alone, image))
	if text := failure(t, err); !strings.Contains(text, "no manager of a Swarm") {
		t.Errorf("without a Swarm: %q", text)
	}
}

func mustStart(t *testing.T, s *Swarm, r db.Release) deploy.Instance {
	t.Helper()
	in, err := s.Start(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func visit(t *testing.T, addr string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return string(text), err
}
