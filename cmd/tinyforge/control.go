package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"tinyforge/app/settings"
	"tinyforge/db"
	"tinyforge/deploy/docker"
)

// control is the HTTP of the control plane. What everybody may reach, webhooks, the pages and the state of a deployment, is
// also at a second address, to which the proxy leads the public URL; health and metrics are for the operator alone.
type control struct {
	log             *slog.Logger
	private, public net.Listener
	parts           controlParts
}

type controlParts struct {
	db     *db.DB
	hooks  http.Handler
	pages  *settings.Settings
	engine *docker.Engine
	sites  sites
	counted
	log *slog.Logger
}

// sites are served by somebody who can be asked how it is.
type sites interface {
	// State returns a word for people, and whether deliveries should be taken.
	State(ctx context.Context) (word string, ready bool)
	// Away tells at once whether the sites may be down, since the proxy did not answer when it was last asked.
	Away() bool
	// Folder is the data folder of a proxy that is a process of its own, "" where it is not known.
	Folder() string
	server
}

// server has addresses.
type server interface {
	// Serves are the addresses that sites are served at by HTTP and HTTPS, "" for what is not, or not known.
	Serves() (http, https string)
}

// newControl listens at once, so that an address in use is known before anything is done.
func newControl(ctx context.Context, address, publicAddress string, p controlParts) (*control, error) {
	private, err := listen(ctx, "listen", address)
	if err != nil {
		return nil, err
	}
	public, err := listen(ctx, "listen-public", cmp.Or(publicAddress, "127.0.0.1:0"))
	if err != nil {
		return nil, errors.Join(err, private.Close())
	}
	return &control{log: p.log, private: private, public: public, parts: p}, nil
}

// PublicAddr is where the proxy finds what everybody may reach.
func (c *control) PublicAddr() string { return c.public.Addr().String() }

// PrivateAddr is where the operator finds everything.
func (c *control) PrivateAddr() string { return c.private.Addr().String() }

// Run serves until ctx is done, then lets requests in flight end.
func (c *control) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.serve(ctx, c.private, c.parts.privateHandler()) })
	group.Go(func() error { return c.serve(ctx, c.public, c.parts.publicHandler()) })
	return group.Wait()
}

func (c *control) serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute, // of a delivery of 25 MB
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(c.log.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(c.parts.pages.EndStreams)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}

func (p controlParts) publicHandler() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/{forge}", p.hooks)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	p.pages.Mount(mux)
	return mux
}

func (p controlParts) privateHandler() *http.ServeMux {
	mux := p.publicHandler()
	mux.HandleFunc("GET /readyz", p.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(newMetrics(p.db, p.sites, p.counted, p.log), promhttp.HandlerOpts{}))
	return mux
}

// ready answers 200 when deliveries can be recorded. Docker being away is told, but a push is recorded all the same.
func (p controlParts) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
	defer cancel()
	state := map[string]string{"database": "ok", "docker": "ok", "proxy": "ok"}
	code := http.StatusOK
	if err := p.db.Ping(ctx); err != nil {
		p.log.ErrorContext(ctx, "database does not answer", "error", err)
		state["database"], code = "does not answer", http.StatusServiceUnavailable
	}
	if err := p.engine.Ping(ctx); err != nil {
		state["docker"] = "does not answer"
	}
	word, ready := p.sites.State(ctx)
	if state["proxy"] = word; !ready {
		code = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(state)
}
