// Package swarmtest forms a real Docker Swarm of several nodes on one Linux machine: each node is a dockerd with a
// containerd of its own, in a network namespace and under a host name of its own, at a switch that this machine reaches too.
// Tests and cmd/nodes use it. It needs root. Nothing of the machine's own Docker is touched.
//
// The kernel of a small machine often has no IPVS: publish ports in host mode and use the endpoint mode dnsrr.
package swarmtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"
)

// ErrUnable is why a machine cannot run nodes; its text says what to do.
var ErrUnable = errors.New("this machine cannot run Docker nodes in network namespaces")

// Config says what a cluster is like. The zero value is three nodes with one manager.
type Config struct {
	Nodes    int // 3; at most 9
	Managers int // the first ones of the nodes; 1. Of three, one may die and the Swarm is still managed.

	// Heartbeat is how often nodes report to their manager, 5 seconds as Docker has it. A node that is silent for about
	// three of them is down.
	Heartbeat time.Duration
}

// Cluster is a Swarm that runs. Its methods may be called at the same time, for one node by one caller at once. Nodes are
// numbered from 0 as in Nodes.
type Cluster struct {
	Nodes    []*Node // managers first
	Gateway  string  // the address at which nodes reach this machine
	Registry string  // host:port of a registry, empty at first, that nodes pull from without TLS

	place    *place
	registry *registry
	mu       sync.Mutex // guards what nodes note about themselves
}

// Start forms a cluster of n nodes, the first of which is the manager. It ends with the test. Where nodes cannot run, the test
// is skipped; in CI it fails.
func Start(t testing.TB, n int) *Cluster {
	t.Helper()
	return StartWith(t, Config{Nodes: n})
}

// StartWith is Start for a cluster of another kind.
func StartWith(t testing.TB, cfg Config) *Cluster {
	t.Helper()
	c, err := Up(t.Context(), cfg)
	switch {
	case errors.Is(err, ErrUnable) && os.Getenv("CI") != "true":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.Logs())
		}
		if err := c.Down(); err != nil {
			t.Errorf("end nodes: %v", err)
		}
	})
	return c
}

// Up forms a cluster, which lives until Down. What a process that was killed left behind is cleaned up first.
func Up(ctx context.Context, cfg Config) (_ *Cluster, err error) {
	cfg.Nodes, cfg.Managers = cmp.Or(cfg.Nodes, 3), cmp.Or(cfg.Managers, 1)
	cfg.Heartbeat = cmp.Or(cfg.Heartbeat, 5*time.Second)
	if cfg.Managers > cfg.Nodes || cfg.Nodes > mostNodes {
		return nil, fmt.Errorf("form cluster: %d managers of %d nodes, of at most %d", cfg.Managers, cfg.Nodes, mostNodes)
	}
	if err := able(ctx); err != nil {
		return nil, err
	}
	p, err := takePlace()
	if err != nil {
		return nil, err
	}
	c := &Cluster{place: p, Gateway: p.address(1), Registry: p.address(1) + ":5000"}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("form cluster: %w\n%s", err, c.Logs()), c.Down())
		}
	}()
	if err := p.addSwitch(ctx); err != nil {
		return nil, err
	}
	if c.registry, err = serveRegistry(c.Registry); err != nil {
		return nil, err
	}
	for i := range cfg.Nodes {
		c.Nodes = append(c.Nodes, newNode(p, i+1, i < cfg.Managers))
	}
	if err := c.each(func(n *Node) (err error) { n.dockerd, err = n.boot(ctx); return err }); err != nil {
		return nil, err
	}
	return c, c.form(ctx, cfg)
}

// each does what do does with all nodes at once.
func (c *Cluster) each(do func(*Node) error) error {
	errs, wait := make([]error, len(c.Nodes)), sync.WaitGroup{}
	for i, n := range c.Nodes {
		wait.Go(func() { errs[i] = do(n) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// Down ends all nodes at once, as a power cut does, and leaves nothing of them on the machine.
func (c *Cluster) Down() error {
	if c.registry != nil {
		c.registry.close()
	}
	return errors.Join(c.place.clear(), c.place.leave())
}

// Logs are the ends of what the daemons said.
func (c *Cluster) Logs() string {
	var text string
	for _, n := range c.Nodes {
		for _, file := range []string{n.file("dockerd.log"), n.file("containerd.log")} {
			text += file + ":\n" + tail(file) + "\n"
		}
	}
	return text
}

func tail(file string) string {
	text, _ := os.ReadFile(file)
	return string(text[max(0, len(text)-2000):])
}
