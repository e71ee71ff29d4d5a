package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/proxy"
)

// host is that of the site in each request.
const host = "bench.test"

// proxied is a proxy that leads host to an upstream.
type proxied struct {
	*process
	plain, secure string        // addresses for HTTP and HTTPS
	client        *proxy.Client // of ours alone
	dir           string
}

// contender is somebody who is measured.
type contender struct {
	name    string
	version func() string
	start   func(ctx context.Context, s *stage, upstream string) (*proxied, error)
}

// ours is Tinyforge's name in the tables.
const (
	ours     = "tinyforge"
	caddyNow = "caddy, static"
)

// contenders are all of them; nobody is between the client and the upstream at the first.
func contenders() []contender {
	return []contender{
		{"no proxy", func() string { return "" }, startNone},
		{ours, func() string { return "" }, startOurs},
		{caddyNow, caddyVersion, startCaddy},
		{"net/http + httputil", func() string { return thisMachine().Go }, startHTTPUtil},
		{"nginx", func() string { return output("nginx", "-v") }, startNginx},
		{"haproxy", func() string { return output("haproxy", "-v") }, startHAProxy},
		{"caddy of Debian", func() string { return output("caddy", "version") }, startDebianCaddy},
	}
}

// namedContenders are those of the names, in their order above.
func namedContenders(names ...string) (list []contender) {
	for _, c := range contenders() {
		if slices.Contains(names, c.name) {
			list = append(list, c)
		}
	}
	return list
}

func startNone(_ context.Context, _ *stage, upstream string) (*proxied, error) {
	return &proxied{plain: upstream}, nil
}

// startOurs runs tinyforge proxy, and gives it its route over its socket as serve does.
func startOurs(ctx context.Context, s *stage, upstream string) (p *proxied, err error) {
	p = &proxied{}
	if p.plain, err = freeAddress(); err != nil {
		return nil, err
	}
	if p.secure, err = freeAddress(); err != nil {
		return nil, err
	}
	if p.dir, err = os.MkdirTemp(s.dir, "tinyforge-"); err != nil {
		return nil, err
	}
	if err := p.startAnew(s); err != nil {
		return nil, err
	}
	p.client = proxy.NewClient(p.socket())
	if err = p.answers(ctx, p.plain); err == nil {
		err = p.client.Upsert(ctx, route(host), at("bench-1", upstream))
	}
	if err != nil {
		p.kill()
	}
	return p, err
}

// startAnew runs tinyforge proxy with the data and the addresses of p, which are nobody's now. It does not wait for it.
func (p *proxied) startAnew(s *stage) (err error) {
	args := []string{"proxy", "--data", p.dir, "--proxy-http", p.plain, "--proxy-https", p.secure, "--internal-ca", "--proxy-socket", p.socket()}
	if s.logs {
		args = append(args, "--access-log", filepath.Join(p.dir, "access.log"))
	}
	p.process, err = start(s.dir, ours, nil, s.tinyforge, args...)
	return err
}

func (p *proxied) socket() string { return filepath.Join(p.dir, "proxy.sock") }

func route(host string) db.Route { return db.Route{WorkloadID: 1, Host: host} }

func at(name, address string) deploy.Upstream { return deploy.Upstream{Name: name, Addr: address} }

// end ends it, if there is something.
func (p *proxied) end() {
	if p.process != nil {
		p.kill()
	}
}
