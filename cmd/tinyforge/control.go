package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tinyforge/db"
	"tinyforge/deploy/docker"
	"tinyforge/deploy/proxy"
)

// control is the HTTP server of the control plane: webhooks, health, metrics and the public summary of a deployment.
type control struct {
	address string
	server  *http.Server
}

type controlParts struct {
	db     *db.DB
	hooks  http.Handler
	engine *docker.Engine
	router *proxy.Proxy
	log    *slog.Logger
}

func newControl(address string, p controlParts) *control {
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/{forge}", p.hooks)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", p.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(newMetrics(p.db, p.router, p.log), promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /deployments/{id}", p.deployment)
	return &control{address: address, server: &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute, // of a delivery of 25 MB
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}}
}

// Run serves until ctx is done, then lets requests in flight end.
func (c *control) Run(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.address)
	if err != nil {
		return fmt.Errorf("listen for webhooks: %w; choose another address with --listen", err)
	}
	done := make(chan error, 1)
	go func() { done <- c.server.Serve(listener) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	return c.server.Shutdown(ctx)
}

// ready answers 200 when deliveries can be recorded. Docker being away is told but changes nothing: pushes wait.
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
	select {
	case <-p.router.Ready():
	default:
		state["proxy"], code = "starting", http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(state)
}

// deployment is where commit statuses link to. It tells no more than the status itself does.
func (p controlParts) deployment(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	dep, err := p.db.Deployment(r.Context(), id)
	switch {
	case errors.Is(err, db.ErrNotFound):
		http.NotFound(w, r)
		return
	case err != nil:
		p.log.ErrorContext(r.Context(), "read deployment", "error", err)
		http.Error(w, "The database does not answer. Try again in a moment.", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	fmt.Fprintf(w, "Deployment %d\ncommit  %s\nref     %s\nphase   %s\nqueued  %s\n", dep.ID, dep.Commit, dep.Ref, dep.Phase,
		dep.CreatedAt.Format(time.RFC3339))
	if !dep.FinishedAt.IsZero() {
		fmt.Fprintf(w, "ended   %s (%s)\n", dep.FinishedAt.Format(time.RFC3339), dep.Duration().Round(100*time.Millisecond))
	}
	if dep.Error != "" {
		fmt.Fprintf(w, "\n%s\n", dep.Error)
	}
}

// dialAddress is how to reach a listener of our own.
func dialAddress(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err != nil || host != "" && (ip == nil || !ip.IsUnspecified()) {
		return listen
	}
	return net.JoinHostPort("127.0.0.1", port)
}
