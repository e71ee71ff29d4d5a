package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// way is a contender with a way to lead a site from a release to the next.
type way struct {
	name   string
	swaps  int           // in a round
	settle time.Duration // for which the old release is kept, by those who cannot tell when it may go
	start  func(ctx context.Context, s *stage, upstream string) (*proxied, leader, error)
}

// leader tells a contender that a site is served at another address from now on.
type leader func(ctx context.Context, version int64, address string) error

func ways(o choice) []way {
	return []way{
		{ours, max(o.swaps, 1), 0, leadOurs},
		{"caddy PATCH, killed at once", 5, 0, leadCaddy("caddy-at-once")},
		{"caddy PATCH, killed after 100 ms", 5, 100 * time.Millisecond, leadCaddy("caddy-later")},
		{"nginx reload, killed after 400 ms", 5, 400 * time.Millisecond, leadNginx},
		{"haproxy set server, killed after 60 ms", 5, 60 * time.Millisecond, leadHAProxy},
	}
}

// leadOurs does it as a deployment does.
func leadOurs(ctx context.Context, s *stage, upstream string) (*proxied, leader, error) {
	p, err := startOurs(ctx, s, upstream)
	return p, func(ctx context.Context, version int64, address string) error {
		return p.client.Upsert(ctx, route(host), at(releaseName(version), address))
	}, err
}

func releaseName(version int64) string { return fmt.Sprintf("bench-%d", version) }

func leadCaddy(name string) func(context.Context, *stage, string) (*proxied, leader, error) {
	return func(ctx context.Context, s *stage, upstream string) (*proxied, leader, error) {
		admin, err := freeAddress()
		if err != nil {
			return nil, nil, err
		}
		p, err := startCaddyBy(ctx, s, name, upstream, admin, s.self, "peer", "caddy")
		return p, func(ctx context.Context, _ int64, address string) error {
			return patchUpstream(ctx, admin, address)
		}, err
	}
}

func patchUpstream(ctx context.Context, admin, upstream string) error {
	url := "http://" + admin + "/id/site/handle/0/upstreams/0"
	r, err := http.NewRequestWithContext(ctx, http.MethodPatch, url, bytes.NewReader(fmt.Appendf(nil, `{"dial": %q}`, upstream)))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Close = true // the one that answers ends with its configuration
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("patch caddy: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("patch caddy: %s: %s", answer.Status, text)
	}
	return err
}

func leadNginx(ctx context.Context, s *stage, upstream string) (*proxied, leader, error) {
	p, err := startNginx(ctx, s, upstream)
	return p, func(_ context.Context, _ int64, address string) error {
		if _, err := s.writeNginx(p.plain, p.secure, address); err != nil {
			return err
		}
		return syscall.Kill(p.cmd.Process.Pid, syscall.SIGHUP)
	}, err
}

func leadHAProxy(ctx context.Context, s *stage, upstream string) (*proxied, leader, error) {
	p, err := startHAProxy(ctx, s, upstream)
	return p, func(ctx context.Context, _ int64, address string) error {
		return orderHAProxy(ctx, s.haproxySocket(), address)
	}, err
}

func orderHAProxy(ctx context.Context, socket, upstream string) error {
	ip, port, err := net.SplitHostPort(upstream)
	if err != nil {
		return err
	}
	c, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(answerPatience)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c, "set server app/app addr %s port %s\n", ip, port); err != nil {
		return err
	}
	text, err := io.ReadAll(c)
	if err == nil && !strings.Contains(string(text), "changed from") {
		err = fmt.Errorf("set server of haproxy: %q", text)
	}
	return err
}
