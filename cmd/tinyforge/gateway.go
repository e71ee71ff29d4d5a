package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/npm"
	"tinyforge/deploy/proxy"
)

// gateway is what serves the sites: a router, and what the process needs of it beside routing.
type gateway interface {
	deploy.Router
	sites
	counted
	// Listen opens the addresses of the sites, so that one in use is known before anything is done.
	Listen(ctx context.Context) error
	// Lead makes a host Tinyforge's own, at the address where everybody may reach it.
	Lead(host, address string) error
	// Release lets workloads have a host again that was Tinyforge's own.
	Release(host string)
	// Stages are its background loops.
	Stages() []stage
}

// builtin is the proxy in this process.
type builtin struct {
	*proxy.Proxy
	config config
	log    *slog.Logger
}

func newBuiltin(c config, _ *db.DB, _ string, log *slog.Logger) (gateway, error) {
	certificates := filepath.Join(c.Data, "certificates")
	if c.InternalCA {
		log.Info("certificates are signed locally: let browsers trust the root", "root", filepath.Join(certificates, "pki", "authorities", "local", "root.crt"))
	}
	trusted, err := c.trusted()
	if err != nil {
		return nil, err
	}
	p, err := proxy.New(proxy.Config{
		HTTP: c.ProxyHTTP, HTTPS: c.ProxyHTTPS, DataDir: certificates,
		ACME: proxy.ACME{Email: c.ACMEEmail, CA: c.ACMECA}, InternalCA: c.InternalCA, TrustedProxies: trusted,
		HoldFor: c.Drain + time.Minute, // a recreate drains, stops, starts and gates while requests wait
	}, log)
	return builtin{p, c, log}, err
}

// Listen implements gateway.
func (b builtin) Listen(ctx context.Context) error {
	err := b.Proxy.Listen(ctx)
	if refused, ok := errors.AsType[*proxy.ListenError](err); ok {
		return adviseListen("proxy-"+refused.Scheme, refused.Address, refused.Err)
	}
	if err == nil {
		b.log.InfoContext(ctx, "sites are served here", "proxy_http", cmp.Or(b.config.ProxyHTTP, off), "proxy_https", cmp.Or(b.config.ProxyHTTPS, off))
	}
	return err
}

// State implements sites.
func (b builtin) State(context.Context) (word string, ready bool) {
	select {
	case <-b.Ready():
		return "ok", true
	default:
		return "starting", false
	}
}

// Lead implements gateway.
func (b builtin) Lead(host, address string) error {
	return b.Reserve(host, deploy.Upstream{Name: "tinyforge", Addr: address})
}

// Stages implements gateway.
func (b builtin) Stages() []stage {
	return []stage{{"proxy", b.Run}}
}

// outside is Nginx Proxy Manager, which runs by itself.
type outside struct{ *npm.Router }

func newOutside(c config, store *db.DB, instance string, log *slog.Logger) (gateway, error) {
	r, err := npm.New(npm.Config{
		URL: c.NPMURL, Identity: c.NPMIdentity, Password: c.NPMPassword, Proxy: c.NPMProxy, Forward: npm.Forward(c.NPMForward),
		Adopt: c.adopted(), Grace: c.NPMGrace, Instance: instance, Key: store.Derive("npm " + instance),
	}, log)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := r.Ping(ctx); err != nil {
		log.Warn("Nginx Proxy Manager does not answer; no route can be moved until it does", "url", c.NPMURL, "error", err)
	}
	return outside{r}, nil
}

// State implements sites. A push is recorded, and waits for its turn, while Nginx Proxy Manager is away.
func (o outside) State(ctx context.Context) (word string, ready bool) {
	if o.Ping(ctx) != nil {
		return "does not answer", true
	}
	return "ok", true
}

// Listen implements gateway: Nginx Proxy Manager does.
func (outside) Listen(context.Context) error { return nil }

// Stats implements counted: Nginx Proxy Manager does not count.
func (outside) Stats() []proxy.Stats { return nil }

// Lead implements gateway: where the host leads is set in Nginx Proxy Manager, and no workload may have it.
func (o outside) Lead(host, _ string) error {
	o.Reserve(host)
	return nil
}

// Stages implements gateway: it has none.
func (outside) Stages() []stage { return nil }

// adopted are the hosts of --npm-adopt.
func (c *config) adopted() []string {
	return strings.FieldsFunc(c.NPMAdopt, func(r rune) bool { return r == ',' || r == ' ' })
}
