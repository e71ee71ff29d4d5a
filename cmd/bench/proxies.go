package main

import (
	"cmp"
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
	behind        *process      // likewise: the server of a static site, nil for none
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
	noProxy  = "no proxy"
)

// contenders are all of them; nobody is between the client and the upstream at the first.
func contenders() []contender {
	return []contender{
		{noProxy, func() string { return "" }, startNone},
		{ours, func() string { return "" }, startOurs},
		{ours, func() string { return "" }, startOursSecure},
		{caddyNow, caddyVersion, startCaddy},
		{"net/http + httputil", func() string { return thisMachine().Go }, startHTTPUtil},
		{"nginx", func() string { return output("nginx", "-v") }, startNginx},
		{"haproxy", func() string { return output("haproxy", "-v") }, startHAProxy},
		{"caddy of Debian", func() string { return output("caddy", "version") }, startDebianCaddy},
	}
}

// namedContenders are those of the names, each once, in their order above.
func namedContenders(names ...string) (list []contender) {
	for _, c := range contenders() {
		if i := slices.Index(names, c.name); i >= 0 {
			names = slices.Delete(slices.Clone(names), i, i+1)
			list = append(list, c)
		}
	}
	return list
}

// startNone starts one more of what is behind the others.
func startNone(ctx context.Context, s *stage, _ string) (*proxied, error) {
	plain, secure, err := addresses()
	if err != nil {
		return nil, err
	}
	p, err := s.run(ctx, "backend", plain, secure, s.self, "peer", "backend", plain, secure, s.cert, s.key)
	if err != nil {
		return nil, err
	}
	s.add(p.kill)
	return &proxied{plain: plain, secure: secure}, nil
}

// startOurs runs tinyforge proxy for HTTP.
func startOurs(ctx context.Context, s *stage, upstream string) (p *proxied, err error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	return startProxy(ctx, s, upstream, &proxied{plain: address}, address)
}

// startOursSecure runs it for HTTPS: where it has both, whoever comes by HTTP is sent on.
func startOursSecure(ctx context.Context, s *stage, upstream string) (p *proxied, err error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	return startProxy(ctx, s, upstream, &proxied{secure: address}, address)
}

// startProxy gives the proxy its route over its socket as serve does.
func startProxy(ctx context.Context, s *stage, upstream string, p *proxied, address string) (_ *proxied, err error) {
	if p.dir, err = os.MkdirTemp(s.dir, "tinyforge-"); err != nil {
		return nil, err
	}
	if err := p.startAnew(s); err != nil {
		return nil, err
	}
	p.client = proxy.NewClient(p.socket())
	if err = p.ready(ctx, address); err == nil {
		err = p.client.Upsert(ctx, route(host), at("bench-1", upstream))
	}
	if err != nil {
		p.kill()
	}
	return p, err
}

// ready waits until it serves and takes orders.
func (p *proxied) ready(ctx context.Context, address string) error {
	if err := p.answers(ctx, address); err != nil {
		return err
	}
	return p.answers(ctx, p.socket())
}

// startAnew runs tinyforge proxy with the data and the addresses of p, which are nobody's now. It does not wait for it.
func (p *proxied) startAnew(s *stage) (err error) {
	args := []string{"proxy", "--data", p.dir, "--proxy-http", cmp.Or(p.plain, "off"), "--proxy-https", cmp.Or(p.secure, "off"), "--proxy-socket", p.socket()}
	if p.secure != "" {
		args = append(args, "--internal-ca")
	}
	if s.logs {
		args = append(args, "--access-log", filepath.Join(p.dir, "access.log"))
	}
	p.process, err = start(s.dir, ours, nil, s.tinyforge, args...)
	return err
}

func (p *proxied) socket() string { return filepath.Join(p.dir, "proxy.sock") }

func route(host string) db.Route { return db.Route{WorkloadID: 1, Host: host} }

func at(name, address string) deploy.Upstream { return deploy.Upstream{Name: name, Addr: address} }

// end ends it, if there is something; in order where it is to write a profile.
func (p *proxied) end() {
	if p.behind != nil {
		p.behind.kill()
	}
	switch {
	case p.process == nil:
	case profiled():
		p.stop()
	default:
		p.kill()
	}
}
