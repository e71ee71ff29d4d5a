package proxy

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	askMost  = 1 << 20         // bytes of a request's body
	askLimit = 5 * time.Second // to send it
	askIdle  = time.Minute     // between two requests on a connection
)

// Admin lets other processes of the same user change the routes of a Proxy, over a unix socket: see Client.
type Admin struct {
	proxy *Proxy
	log   *slog.Logger
	path  string
	ln    net.Listener
	id    string

	ordering sync.Mutex // one order after the other: see order
}

// ListenAdmin opens the socket, in a folder that is there and in which not everybody may write. Who connects waits until Run
// serves.
func (p *Proxy) ListenAdmin(ctx context.Context, path string) (*Admin, error) {
	ln, err := listenSocket(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("listen for administration: %w", err)
	}
	return &Admin{proxy: p, log: p.log, path: path, ln: ln, id: rand.Text()}, nil
}

// Run serves until ctx is done, and removes the socket.
func (a *Admin) Run(ctx context.Context) error {
	server := &http.Server{
		Handler:           a.handler(),
		ReadHeaderTimeout: askLimit,
		IdleTimeout:       askIdle,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelWarn),
		ConnContext:       withConn,
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(a.ln) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve administration: %w", err)
	case <-ctx.Done():
	}
	err := os.Remove(a.path) // before it is closed: another process may have one there right after
	return errors.Join(err, server.Close())
}

// calls are what can be asked, by name.
func (a *Admin) calls() map[string]func(context.Context, ask) (reply, error) {
	p := a.proxy
	return map[string]func(context.Context, ask) (reply, error){
		"upsert":  a.order(func(ctx context.Context, q ask) error { return p.Upsert(ctx, q.Route, q.Upstream) }),
		"hold":    a.order(func(ctx context.Context, q ask) error { return p.Hold(ctx, q.Route) }),
		"delete":  a.order(func(ctx context.Context, q ask) error { return p.Delete(ctx, q.Route) }),
		"reserve": a.order(func(_ context.Context, q ask) error { return p.Reserve(q.Route.Host, q.Upstream) }),
		"release": a.order(func(_ context.Context, q ask) error { return p.Release(q.Route.Host) }),
		"drain": func(ctx context.Context, q ask) (reply, error) {
			ctx, cancel := context.WithTimeout(ctx, q.Within)
			defer cancel()
			return reply{}, p.Drain(ctx, q.Route, q.Upstream)
		},
		"current": func(ctx context.Context, q ask) (r reply, err error) {
			r.Upstream, err = p.Current(ctx, q.Route)
			return r, err
		},
		"targets": func(ctx context.Context, _ ask) (r reply, err error) {
			r.Targets, err = p.Targets(ctx)
			return r, err
		},
		"counts": func(_ context.Context, q ask) (r reply, err error) {
			r.All, r.Failed, r.Known = p.Counts(q.Route)
			return r, nil
		},
		"reserved": func(context.Context, ask) (r reply, err error) {
			r.Hosts, err = p.Reserved()
			return r, err
		},
		"stats": func(context.Context, ask) (reply, error) { return reply{Stats: p.Stats()}, nil },
		"state": func(context.Context, ask) (reply, error) {
			return reply{State: State{ID: a.id, HTTP: p.cfg.HTTP, HTTPS: p.cfg.HTTPS, DataDir: p.cfg.DataDir}}, nil
		},
	}
}

var errGivenUp = errors.New("who asked for it gave up")

// order is a call that changes routes. It is carried out while its client waits for it, or not at all: one that was given up, or
// whose process was killed, would undo what was ordered after it.
func (a *Admin) order(do func(context.Context, ask) error) func(context.Context, ask) (reply, error) {
	return func(ctx context.Context, q ask) (reply, error) {
		a.ordering.Lock()
		defer a.ordering.Unlock()
		if c, ok := ctx.Value(connKey{}).(net.Conn); ok && hungUp(c) {
			a.log.WarnContext(ctx, "an order is not carried out: who asked for it gave up", "host", q.Route.Host)
			return reply{}, errGivenUp
		}
		return reply{}, do(ctx, q)
	}
}

func (a *Admin) handler() *http.ServeMux {
	mux := http.NewServeMux()
	for name, call := range a.calls() {
		mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) { a.answer(w, r, call) })
	}
	return mux
}

func (a *Admin) answer(w http.ResponseWriter, r *http.Request, call func(context.Context, ask) (reply, error)) {
	var q ask
	control := http.NewResponseController(w)
	err := control.SetReadDeadline(time.Now().Add(askLimit))
	if err == nil {
		err = json.NewDecoder(http.MaxBytesReader(w, r.Body, askMost)).Decode(&q)
	}
	if err = errors.Join(err, control.SetReadDeadline(time.Time{})); err != nil { // what follows may last, and ends with the client
		http.Error(w, "this is not what a Tinyforge asks: "+err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := call(r.Context(), q)
	answer.Fault = newFault(err)
	w.Header().Set("Content-Type", "application/json")
	if err := control.SetWriteDeadline(time.Now().Add(askLimit)); err != nil {
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}
