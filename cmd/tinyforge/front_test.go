package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// front is a socket before the real Docker's that can be cut, and that can stop a request at a named point.
type front struct {
	*testing.T
	path  string
	proxy *httputil.ReverseProxy

	mu     sync.Mutex
	server *http.Server
	conns  map[net.Conn]struct{}
	stops  *stopPoint
}

// stopPoint is where a request is stopped: before the engine sees it or, with done, after the engine did what it asks for.
type stopPoint struct {
	method, path string // path is a part of it
	done         bool
	reached      chan struct{}
}

func newFront(t *testing.T) *front {
	t.Helper()
	dir, err := os.MkdirTemp("", "tf") // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	f := &front{T: t, path: filepath.Join(dir, "docker.sock"), conns: map[net.Conn]struct{}{}}
	f.proxy = &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "docker" },
		FlushInterval:  -1,
		Transport:      &http.Transport{DialContext: dialDocker},
		ModifyResponse: func(r *http.Response) error { f.pass(r.Request, true); return nil },
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	f.restore()
	t.Cleanup(f.cut)
	return f
}

// option makes a process use the front.
func (f *front) option() string { return "TINYFORGE_DOCKER_HOST=unix://" + f.path }

// stopAt stops the next request of this kind for as long as its client waits. The channel tells when it is there.
func (f *front) stopAt(method, path string, done bool) (reached <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stops = &stopPoint{method, path, done, make(chan struct{})}
	return f.stops.reached
}

// ServeHTTP forwards to Docker.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Header.Get("Upgrade") == "" && r.ContentLength >= 0 {
		body, err := io.ReadAll(r.Body) // only after the body is read does net/http notice that the client has gone
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	f.pass(r, false)
	f.proxy.ServeHTTP(w, r)
}

// pass returns at once, or never when the request is to be stopped here.
func (f *front) pass(r *http.Request, done bool) {
	f.mu.Lock()
	stop := f.stops
	here := stop != nil && stop.done == done && stop.method == r.Method && strings.Contains(r.URL.Path, stop.path)
	if here {
		f.stops = nil
	}
	f.mu.Unlock()
	if here {
		close(stop.reached)
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
}

// cut closes the socket and every connection through it.
func (f *front) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.server == nil {
		return
	}
	_ = f.server.Close()
	for c := range f.conns {
		_ = c.Close()
	}
	f.server, f.conns = nil, map[net.Conn]struct{}{}
}

// restore ends a cut.
func (f *front) restore() {
	f.Helper()
	listener, err := net.Listen("unix", f.path)
	if err != nil {
		f.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.server = &http.Server{Handler: f, ConnState: func(c net.Conn, s http.ConnState) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if s == http.StateNew {
			f.conns[c] = struct{}{}
		}
	}}
	go func(server *http.Server) { _ = server.Serve(listener) }(f.server)
}
