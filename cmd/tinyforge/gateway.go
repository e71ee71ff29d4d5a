package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
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
	besideRouting
	// Stages are its background loops.
	Stages() []stage
}

// besideRouting is what a gateway is beside a router.
type besideRouting interface {
	sites
	counted
	// Listen opens the addresses of the sites, so that one in use is known before anything is done.
	Listen(ctx context.Context) error
	// Lead makes a host Tinyforge's own, at the address where everybody may reach it, and lets workloads have the one again
	// that was it before. "" is no host. It may be repeated.
	Lead(host, address string) error
}

// builtin is the proxy in this process.
type builtin struct {
	*proxy.Proxy
	config config
	log    *slog.Logger
}

func newBuiltin(c config, store *db.DB, _ string, log *slog.Logger) (gateway, error) {
	var certificates proxy.Storage // in the data folder
	if store != nil && !isSQLite(c) {
		certificates = store
	}
	p, err := newProxy(c, "", certificates, log)
	return builtin{p, c, log}, err
}

// newProxy makes the proxy of the options. routes is a folder in which they outlive the process, "" for none; storage keeps the
// certificates where they are shared with others, nil in the data folder.
func newProxy(c config, routes string, storage proxy.Storage, log *slog.Logger) (*proxy.Proxy, error) {
	certificates := filepath.Join(c.Data, "certificates")
	if c.InternalCA {
		log.Info("certificates are signed locally: let browsers trust the root", "root", filepath.Join(certificates, "pki", "authorities", "local", "root.crt"))
	}
	trusted, err := c.trusted()
	if err != nil {
		return nil, err
	}
	requests, err := c.accessLog()
	if err != nil {
		return nil, err
	}
	return proxy.New(proxy.Config{
		HTTP: c.ProxyHTTP, HTTPS: c.ProxyHTTPS, DataDir: certificates, Storage: storage, Routes: routes, AccessLog: requests,
		ACME: proxy.ACME{Email: c.ACMEEmail, CA: c.ACMECA}, InternalCA: c.InternalCA, TrustedProxies: trusted,
		HoldFor: c.Drain + time.Minute, // a recreate drains, stops, starts and gates while requests wait
	}, log)
}

// accessLog opens the file of the option, nil without it. It stays open as long as the process runs.
func (c *config) accessLog() (io.Writer, error) {
	switch c.AccessLog {
	case "":
		return nil, nil
	case dash:
		return os.Stdout, nil
	}
	file, err := os.OpenFile(c.AccessLog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open log of requests: %w; choose another with --access-log", err)
	}
	return file, nil
}

// Listen implements gateway.
func (b builtin) Listen(ctx context.Context) error {
	return listenForSites(ctx, b.Proxy, b.config, b.log)
}

func listenForSites(ctx context.Context, p *proxy.Proxy, c config, log *slog.Logger) error {
	err := p.Listen(ctx)
	if refused, ok := errors.AsType[*proxy.ListenError](err); ok {
		return adviseListen("proxy-"+refused.Scheme, refused.Address, refused.Err)
	}
	if err == nil {
		log.InfoContext(ctx, "sites are served here", "proxy_http", cmp.Or(c.ProxyHTTP, off), "proxy_https", cmp.Or(c.ProxyHTTPS, off))
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

// Folder implements sites.
func (builtin) Folder() string { return "" }

// Away implements sites.
func (builtin) Away() bool { return false }

// Lead implements gateway.
func (b builtin) Lead(host, address string) error { return lead(b.Table, host, address) }

// leader is a route table that knows whose hosts are Tinyforge's own.
type leader interface {
	Reserve(host string, up deploy.Upstream) error
	Release(host string) error
	Reserved() ([]string, error)
}

// lead implements gateway's Lead.
func lead(table leader, host, address string) error {
	before, err := table.Reserved()
	if err != nil {
		return err
	}
	for _, h := range before {
		if strings.EqualFold(h, host) {
			continue
		}
		if err := table.Release(h); err != nil {
			return err
		}
	}
	if host == "" {
		return nil
	}
	return table.Reserve(host, deploy.Upstream{Name: "tinyforge", Addr: address})
}

// Serves implements gateway.
func (b builtin) Serves() (http, https string) { return b.config.ProxyHTTP, b.config.ProxyHTTPS }

// Stages implements gateway.
func (b builtin) Stages() []stage {
	return []stage{{"proxy", b.Run}}
}

// outside is Nginx Proxy Manager, which runs by itself.
type outside struct {
	*npm.Router
	led string // the host that no workload may have
}

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
	return &outside{Router: r}, nil
}

// State implements sites. A push is recorded, and waits for its turn, while Nginx Proxy Manager is away.
func (o *outside) State(ctx context.Context) (word string, ready bool) {
	if o.Ping(ctx) != nil {
		return "does not answer", true
	}
	return "ok", true
}

// Folder implements sites.
func (*outside) Folder() string { return "" }

// Away implements sites: it is asked when it is needed, and its sites do not hang on whether it answers.
func (*outside) Away() bool { return false }

// Listen implements gateway: Nginx Proxy Manager does.
func (*outside) Listen(context.Context) error { return nil }

// Stats implements counted: Nginx Proxy Manager does not count.
func (*outside) Stats() []proxy.Stats { return nil }

// Lead implements gateway: where the host leads is set in Nginx Proxy Manager, and no workload may have it.
func (o *outside) Lead(host, _ string) error {
	o.Release(o.led)
	if o.led = host; host != "" {
		o.Reserve(host)
	}
	return nil
}

// Serves implements gateway: Nginx Proxy Manager does not tell.
func (*outside) Serves() (http, https string) { return "", "" }

// Stages implements gateway: it has none.
func (*outside) Stages() []stage { return nil }

// adopted are the hosts of --npm-adopt.
func (c *config) adopted() []string {
	return strings.FieldsFunc(c.NPMAdopt, func(r rune) bool { return r == ',' || r == ' ' })
}
