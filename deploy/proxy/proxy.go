// Package proxy is the built-in reverse proxy: Caddy, embedded, with one config that never changes, in front of a route
// table in memory. A deploy changes the table and nothing else, so that it costs microseconds and disturbs no connection.
//
// It can be a process of its own: then its routes are kept in files, from which the next one has them before its first
// request, and Client changes them over a unix socket, as the table itself is changed by who is in the process.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http/httputil"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
)

// Proxy is the reverse proxy. Its Table can be used before, while and after it runs; what is in the table before Run is
// served from the first request on.
type Proxy struct {
	*Table

	cfg   Config
	log   *slog.Logger
	work  *work
	ready chan struct{}

	storage certmagic.Storage

	forwarder *httputil.ReverseProxy
	access    *accessLog

	http, https net.Listener // set by Inherit and Listen
}

// New returns a Proxy that does nothing yet, with the routes that are kept in the folder of the config.
func New(cfg Config, log *slog.Logger) (*Proxy, error) {
	if cfg.HTTP == "" && cfg.HTTPS == "" {
		return nil, errors.New("make proxy: neither an HTTP nor an HTTPS address is set")
	}
	if cfg.DataDir == "" {
		return nil, errors.New("make proxy: no data folder is set")
	}
	if cfg.HoldFor == 0 {
		cfg.HoldFor = defaultHoldFor
	}
	if cfg.HoldLimit == 0 {
		cfg.HoldLimit = defaultHoldLimit
	}
	if cfg.Grace == 0 {
		cfg.Grace = defaultGrace
	}
	if cfg.limits == (limits{}) {
		cfg.limits = defaultLimits()
	}
	table, err := openTable(cfg, log)
	if err != nil {
		return nil, fmt.Errorf("make proxy: %w", err)
	}
	return &Proxy{
		Table: table,
		cfg:   cfg,
		log:   log,
		work:  newWork(),
		ready: make(chan struct{}),

		storage: storageOf(cfg),

		forwarder: newForwarder(),
		access:    newAccessLog(cfg.AccessLog),
	}, nil
}

// openTable makes the table, with the routes that outlived the process before.
func openTable(cfg Config, log *slog.Logger) (*Table, error) {
	table := newTable(cfg.HoldFor, int64(cfg.HoldLimit))
	if cfg.Routes == "" {
		return table, nil
	}
	files, err := openRouteFiles(cfg.Routes)
	if err != nil {
		return nil, err
	}
	table.files = files
	return table, table.restore(log)
}

// Close gives up the folder of routes, of a Proxy that does not run, or not any more. From then on no route can be changed
// that is kept there.
func (p *Proxy) Close() { p.Table.files.close() }

// ListenError is that the proxy cannot listen on one of its addresses.
type ListenError struct {
	Scheme  string // "http" or "https"
	Address string
	Err     error
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("listen for %s on %s: %v", e.Scheme, e.Address, e.Err)
}

// Unwrap gives the system's error.
func (e *ListenError) Unwrap() error { return e.Err }

// Listen opens the addresses: who connects waits until Run serves. Run does it by itself where it was not done before. The
// error is a *ListenError, and nothing is open then.
func (p *Proxy) Listen(ctx context.Context) error {
	err := p.listen(ctx)
	if err != nil {
		p.closeListeners()
		p.http, p.https = nil, nil
	}
	return err
}

func (p *Proxy) listen(ctx context.Context) (err error) {
	if p.http == nil {
		if p.http, err = listen(ctx, p.cfg.HTTP); err != nil {
			return &ListenError{"http", p.cfg.HTTP, err}
		}
	}
	if p.https == nil {
		if p.https, err = listen(ctx, p.cfg.HTTPS); err != nil {
			return &ListenError{"https", p.cfg.HTTPS, err}
		}
	}
	return nil
}

// Inherit lets the proxy serve TCP listeners that are open already, in place of those that Listen would open; nil is none.
// It is called before Listen.
func (p *Proxy) Inherit(http, https net.Listener) {
	if http != nil {
		p.http, p.cfg.HTTP = http, http.Addr().String()
	}
	if https != nil {
		p.https, p.cfg.HTTPS = https, https.Addr().String()
	}
}

// Run serves until ctx is done. Then it takes no new connection, sends away who waits on held routes, closes websockets,
// lets other requests go on for at most the grace, and returns nil. A Proxy runs once, and one at a time in a process.
func (p *Proxy) Run(ctx context.Context) error {
	reg := theRegistry()
	if !reg.running.TryLock() {
		return errors.New("run proxy: another one runs in this process")
	}
	defer reg.running.Unlock()
	id, remove := reg.add(p)
	defer remove()

	if err := p.start(ctx, id); err != nil {
		return fmt.Errorf("run proxy: %w", err)
	}
	close(p.ready)

	var beside sync.WaitGroup
	if p.https != nil {
		beside.Go(func() { p.cleanStorage(ctx) })
	}
	logged, end := context.WithCancel(context.WithoutCancel(ctx)) // with the last request
	if p.access != nil {
		beside.Go(func() { p.access.run(logged) })
	}
	<-ctx.Done()
	err := p.stop()
	end()
	beside.Wait()
	return err
}

// Ready is closed when the proxy accepts connections.
func (p *Proxy) Ready() <-chan struct{} { return p.ready }

// HTTPAddr returns the address that the proxy listens on for HTTP, nil for none. It is valid once Ready is closed.
func (p *Proxy) HTTPAddr() net.Addr { return addrOf(p.http) }

// HTTPSAddr returns the address that the proxy listens on for HTTPS, nil for none. It is valid once Ready is closed.
func (p *Proxy) HTTPSAddr() net.Addr { return addrOf(p.https) }

// start hands the listeners to Caddy. They are opened by us because Caddy does not tell which port it got.
func (p *Proxy) start(ctx context.Context, id string) (err error) {
	if err := p.Listen(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			p.closeListeners()
		}
	}()
	config, err := p.caddyJSON(id)
	if err != nil {
		return err
	}
	return p.withStorage(ctx, func() error { return caddy.Load(config, true) })
}

// stop ends what Run started. Caddy's own Stop does not wait for requests unless the process is Caddy's.
func (p *Proxy) stop() error {
	p.closeListeners() // first, for who is sent away comes back at once
	p.Table.close()
	begun, cancel := context.WithTimeout(context.Background(), freshGrace)
	defer cancel()
	_ = p.work.fresh.wait(begun)
	err := caddy.Stop()

	grace, cancel := context.WithTimeout(context.Background(), p.cfg.Grace)
	defer cancel()
	if p.work.busy.wait(grace) == nil {
		return err
	}
	p.log.Warn("requests outlast the grace and are ended", slog.Int64("requests", p.endAll()),
		slog.Duration("grace", p.cfg.Grace))
	unwind, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = p.work.busy.wait(unwind)
	return err
}

func (p *Proxy) closeListeners() {
	for _, ln := range []net.Listener{p.http, p.https} {
		if ln != nil {
			_ = ln.Close()
		}
	}
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	if addr == "" {
		return nil, nil
	}
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", addr)
}

func addrOf(ln net.Listener) net.Addr {
	if ln == nil {
		return nil
	}
	return ln.Addr()
}
