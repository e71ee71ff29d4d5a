//go:build chaos

package swarmtest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tinyforge/deploy/deploytest"
	"tinyforge/deploy/swarmtest"
)

// A second's heartbeat: a silent node is down after some 3 seconds.
func TestClusterServesAndLosesNodes(t *testing.T) {
	t.Parallel()
	c := swarmtest.StartWith(t, swarmtest.Config{Heartbeat: time.Second})
	image := must(c.PushSample(t.Context(), "web", "one"))(t)
	service := createService(t, c, image)
	for _, n := range c.Nodes {
		serves(t, c, service, n)
	}
	if text := visitBetween(t, taskOn(t, c, service, c.Nodes[1]), taskOn(t, c, service, c.Nodes[2])); !strings.HasSuffix(text, "one\n") {
		t.Errorf("from node to node a task answers %q", text)
	}
	for _, tt := range []struct {
		name       string
		lose, back func(ctx context.Context, i int) error
		says       string // what its task's address answers meanwhile
		node       int
	}{
		{"cut", c.Cut, c.Mend, "", 1},
		{"crash", func(_ context.Context, i int) error { return c.Crash(i) }, c.Restart, "one\n", 1},
		{"kill", func(_ context.Context, i int) error { return c.Kill(i) }, c.Restart, "", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr := addressOn(t, c, service, c.Nodes[tt.node])
			check(t, tt.lose(t.Context(), tt.node))
			if text := visit(t, addr); text != tt.says {
				t.Errorf("meanwhile its task says %q, want %q", text, tt.says)
			}
			check(t, c.AwaitDown(t.Context(), tt.node))
			check(t, tt.back(t.Context(), tt.node))
			check(t, c.AwaitReady(t.Context(), tt.node))
			serves(t, c, service, c.Nodes[tt.node])
		})
	}
	t.Run("push", func(t *testing.T) { pushesFromThisDocker(t, c) })
	t.Run("drain", func(t *testing.T) {
		check(t, c.Drain(t.Context(), 2))
		await(t, "the drained node has no task", func() bool { return addressOn(t, c, service, c.Nodes[2]) == "" })
		check(t, c.Activate(t.Context(), 2))
		if s := must(c.State(t.Context(), 2))(t); s != (swarmtest.State{Status: "ready", Availability: "active"}) {
			t.Errorf("state is %+v", s)
		}
		serves(t, c, service, c.Nodes[2])
	})
}

func pushesFromThisDocker(t *testing.T, c *swarmtest.Cluster) {
	tag := fmt.Sprintf("tinyforge-test-nodes-%d", time.Now().UnixNano())
	check(t, exec.CommandContext(t.Context(), "docker", "build", "--quiet", "--tag", tag, deploytest.SampleCheckout(t)).Run())
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", tag).Run() })
	name := must(c.Push(t.Context(), tag, "pushed"))(t)
	repository, digest, _ := strings.Cut(name, "@")
	check(t, c.Nodes[1].Ask(t.Context(), "POST", "/images/create?fromImage="+url.QueryEscape(repository)+"&tag="+digest, nil, nil))
	var image struct{ RepoDigests []string }
	check(t, c.Nodes[1].Ask(t.Context(), "GET", "/images/"+name+"/json", nil, &image))
	if !slices.Contains(image.RepoDigests, name) {
		t.Errorf("pulled image is %q, want %q", image.RepoDigests, name)
	}
}

// createService runs three replicas of the sample, of which each node has one, and returns the service's ID.
func createService(t *testing.T, c *swarmtest.Cluster, image string) string {
	t.Helper()
	var made struct{ ID string }
	var network struct{ ID string }
	check(t, c.Ask(t.Context(), "POST", "/networks/create", map[string]any{"Name": "between", "Driver": "overlay"}, &network))
	check(t, c.Ask(t.Context(), "POST", "/services/create", map[string]any{
		"Name": "sample",
		"TaskTemplate": map[string]any{
			"ContainerSpec": map[string]any{"Image": image, "StopGracePeriod": time.Second},
			"Placement":     map[string]any{"MaxReplicas": 1},
			"Networks":      []any{map[string]any{"Target": network.ID}},
		},
		"Mode":         map[string]any{"Replicated": map[string]any{"Replicas": 3}},
		"EndpointSpec": map[string]any{"Mode": "dnsrr", "Ports": []any{map[string]any{"TargetPort": 8080, "PublishMode": "host"}}},
	}, &made))
	return made.ID
}

// task is a task in Docker's API.
type task struct {
	NodeID string
	Status struct {
		State           string
		ContainerStatus struct{ PID int }
		PortStatus      struct{ Ports []struct{ PublishedPort int } }
	}
	NetworksAttachments []struct{ Addresses []netip.Prefix }
}

// addressOn is where a task of the service answers on a node, or "".
func addressOn(t *testing.T, c *swarmtest.Cluster, service string, n *swarmtest.Node) string {
	t.Helper()
	k := taskOn(t, c, service, n)
	if k == nil {
		return ""
	}
	return fmt.Sprintf("%s:%d", n.IP, k.Status.PortStatus.Ports[0].PublishedPort)
}

// taskOn is a running task of the service on a node, or nil.
func taskOn(t *testing.T, c *swarmtest.Cluster, service string, n *swarmtest.Node) *task {
	t.Helper()
	filters, _ := json.Marshal(map[string][]string{"service": {service}, "desired-state": {"running"}})
	var tasks []task
	check(t, c.Ask(t.Context(), "GET", "/tasks?filters="+url.QueryEscape(string(filters)), nil, &tasks))
	i := slices.IndexFunc(tasks, func(k task) bool {
		return k.NodeID == n.ID && k.Status.State == "running" && len(k.Status.PortStatus.Ports) > 0
	})
	if i < 0 {
		return nil
	}
	return &tasks[i]
}

// visitBetween visits, from within the task on one node, the task on another over the Swarm's own network.
func visitBetween(t *testing.T, from, to *task) string {
	t.Helper()
	address := to.NetworksAttachments[0].Addresses[0].Addr().String()
	script := "exec 3<>/dev/tcp/" + address + "/8080 && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3"
	out, err := exec.CommandContext(t.Context(), "timeout", "20", "nsenter", "--target", strconv.Itoa(from.Status.ContainerStatus.PID), "--net",
		"bash", "-c", script).CombinedOutput()
	if err != nil {
		t.Errorf("visit %s: %v", address, err)
	}
	return string(out)
}

// serves waits until the node's task answers.
func serves(t *testing.T, c *swarmtest.Cluster, service string, n *swarmtest.Node) {
	t.Helper()
	await(t, n.Name+" serves", func() bool {
		addr := addressOn(t, c, service, n)
		return addr != "" && visit(t, addr) == "one\n"
	})
}

// visit returns what answers at an address, "" if nothing does.
func visit(t *testing.T, addr string) string {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	req := must(http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", nil))(t)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return string(text)
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline, tick := time.After(time.Minute), time.NewTicker(100*time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("a minute passed before this: %s", what)
		case <-tick.C:
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		check(t, err)
		return v
	}
}
