package swarmtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// form makes one Swarm of all nodes. It returns when all are ready.
func (c *Cluster) form(ctx context.Context, cfg Config) error {
	first := c.Nodes[0]
	if err := first.Ask(ctx, "POST", "/swarm/init", map[string]any{
		"ListenAddr": first.IP + ":2377", "AdvertiseAddr": first.IP,
		"DefaultAddrPool": []string{c.place.private(1) + ".0.0/16"}, "SubnetSize": 24,
		"Spec": map[string]any{"Dispatcher": map[string]any{"HeartbeatPeriod": cfg.Heartbeat}},
	}, nil); err != nil {
		return err
	}
	var swarm struct {
		JoinTokens struct{ Worker, Manager string }
	}
	if err := first.Ask(ctx, "GET", "/swarm", nil, &swarm); err != nil {
		return err
	}
	for _, n := range c.Nodes { // one after another: two managers that join at once hinder each other
		token := swarm.JoinTokens.Worker
		if n.Manager {
			token = swarm.JoinTokens.Manager
		}
		if n != first {
			if err := n.Ask(ctx, "POST", "/swarm/join", map[string]any{"ListenAddr": n.IP + ":2377", "AdvertiseAddr": n.IP,
				"RemoteAddrs": []string{first.IP + ":2377"}, "JoinToken": token}, nil); err != nil {
				return err
			}
		}
		var info struct{ Swarm struct{ NodeID string } }
		if err := n.Ask(ctx, "GET", "/info", nil, &info); err != nil {
			return err
		}
		n.ID = info.Swarm.NodeID
	}
	for i := range c.Nodes {
		if err := c.AwaitReady(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// State is what the Swarm says of a node.
type State struct {
	Status       string // "ready", "down", "unknown", "disconnected"
	Availability string // "active", "drain", "pause"
}

// swarmNode is a node in Docker's API.
type swarmNode struct {
	Version struct{ Index uint64 }
	Spec    map[string]any // kept whole, for what is sent back
	Status  struct{ State string }
}

// State asks a manager that is reached, for at most 20 seconds, what it says of a node.
func (c *Cluster) State(ctx context.Context, i int) (State, error) {
	n, err := c.look(ctx, i)
	availability, _ := n.Spec["Availability"].(string)
	return State{n.Status.State, availability}, err
}

func (c *Cluster) look(ctx context.Context, i int) (n swarmNode, err error) {
	return n, c.Ask(ctx, "GET", "/nodes/"+c.Nodes[i].ID, nil, &n)
}

// AwaitReady waits, up to a minute, until the Swarm has a node.
func (c *Cluster) AwaitReady(ctx context.Context, i int) error { return c.await(ctx, i, "ready") }

// AwaitDown waits, up to a minute, until the Swarm has given a node up: about three heartbeats.
func (c *Cluster) AwaitDown(ctx context.Context, i int) error { return c.await(ctx, i, "down") }

func (c *Cluster) await(ctx context.Context, i int, status string) error {
	var last error
	if err := until(ctx, func() (bool, error) {
		var s State
		s, last = c.State(ctx, i)
		return s.Status == status, nil
	}); err != nil {
		return fmt.Errorf("wait for %s to be %s: %w", c.Nodes[i].Name, status, errors.Join(err, last))
	}
	return nil
}

// Drain has the Swarm move a node's tasks elsewhere. It returns when that was ordered, not when it was done.
func (c *Cluster) Drain(ctx context.Context, i int) error { return c.avail(ctx, i, "drain") }

// Activate gives the Swarm a drained node back.
func (c *Cluster) Activate(ctx context.Context, i int) error { return c.avail(ctx, i, "active") }

func (c *Cluster) avail(ctx context.Context, i int, availability string) error {
	var last error
	err := until(ctx, func() (bool, error) { // the version may be out of date already
		var n swarmNode
		if n, last = c.look(ctx, i); last != nil {
			return false, nil
		}
		n.Spec["Availability"] = availability
		path := "/nodes/" + c.Nodes[i].ID + "/update?version=" + strconv.FormatUint(n.Version.Index, 10)
		last = c.Ask(ctx, "POST", path, n.Spec, nil)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("set availability of %s to %s: %w", c.Nodes[i].Name, availability, errors.Join(err, last))
	}
	return nil
}

// Ask calls Docker's API at the first manager that runs, is not cut, and answers well. in and out, if not nil, are JSON.
func (c *Cluster) Ask(ctx context.Context, method, path string, in, out any) error {
	var errs []error
	for _, n := range c.Nodes {
		var reached bool
		c.note(func() { reached = n.Manager && n.dockerd != nil && !n.cut })
		if !reached {
			continue
		}
		err := n.Ask(ctx, method, path, in, out)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(append(errs, fmt.Errorf("%s %s: no manager answers", method, path))...)
}

// Ask calls Docker's API, in the node's newest version, for at most 20 seconds. in and out, if not nil, are JSON.
func (n *Node) Ask(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://docker"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", n.file("docker.sock"))
	}}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", n.Name, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return fmt.Errorf("ask %s: %s %s: %w", n.Name, method, path, err)
	case res.StatusCode >= 300:
		return fmt.Errorf("ask %s: %s %s: status %d: %s", n.Name, method, path, res.StatusCode, text)
	case out != nil:
		return json.Unmarshal(text, out)
	}
	return nil
}

// until looks every 50 ms, for at most a minute, until it is done or fails.
func until(ctx context.Context, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
