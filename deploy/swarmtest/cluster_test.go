package swarmtest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

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

// createService runs three replicas of the sample, of which each node has one, and returns the service's ID.
func createService(t *testing.T, c *swarmtest.Cluster, image string) string {
	t.Helper()
	var made struct{ ID string }
	check(t, c.Ask(t.Context(), "POST", "/services/create", map[string]any{
		"Name": "sample",
		"TaskTemplate": map[string]any{
			"ContainerSpec": map[string]any{"Image": image, "StopGracePeriod": time.Second},
			"Placement":     map[string]any{"MaxReplicas": 1},
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
		State      string
		PortStatus struct{ Ports []struct{ PublishedPort int } }
	}
}

// addressOn is where a task of the service answers on a node, or "".
func addressOn(t *testing.T, c *swarmtest.Cluster, service string, n *swarmtest.Node) string {
	t.Helper()
	filters, _ := json.Marshal(map[string][]string{"service": {service}, "desired-state": {"running"}})
	var tasks []task
	check(t, c.Ask(t.Context(), "GET", "/tasks?filters="+url.QueryEscape(string(filters)), nil, &tasks))
	i := slices.IndexFunc(tasks, func(k task) bool {
		return k.NodeID == n.ID && k.Status.State == "running" && len(k.Status.PortStatus.Ports) > 0
	})
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d", n.IP, tasks[i].Status.PortStatus.Ports[0].PublishedPort)
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
