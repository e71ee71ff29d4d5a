package docker

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// front is a socket before the real Docker's that a test can cut, and that can answer some requests itself.
type front struct {
	t      *testing.T
	path   string
	proxy  *httputil.ReverseProxy
	answer func(w http.ResponseWriter, r *http.Request) bool // nil, or true when it did answer

	mu     sync.Mutex
	server *http.Server
	conns  map[net.Conn]struct{}
}

func newFront(t *testing.T, e *Engine, answer func(w http.ResponseWriter, r *http.Request) bool) *front {
	t.Helper()
	dir, err := os.MkdirTemp("", "tf") // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	f := &front{t: t, path: filepath.Join(dir, "docker.sock"), answer: answer, conns: map[net.Conn]struct{}{}}
	f.proxy = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "docker" },
		FlushInterval: -1,
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return e.docker.Dialer()(ctx)
		}},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	f.restore()
	t.Cleanup(f.cut)
	return f
}

// engine is e as seen through the front.
func (f *front) engine(e *Engine) *Engine {
	f.t.Helper()
	cfg := e.cfg
	cfg.Host = "unix://" + f.path
	through, err := New(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = through.Close() })
	return through
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.answer == nil || !f.answer(w, r) {
		f.proxy.ServeHTTP(w, r)
	}
}

// cut closes the socket and every connection through it.
func (f *front) cut() {
	f.mu.Lock()
	server, conns := f.server, f.conns
	f.server, f.conns = nil, map[net.Conn]struct{}{}
	f.mu.Unlock()
	if server == nil {
		return
	}
	_ = server.Close() // waits for who is told of a connection's state, with the lock
	for c := range conns {
		_ = c.Close()
	}
}

func (f *front) restore() {
	f.t.Helper()
	l, err := net.Listen("unix", f.path)
	if err != nil {
		f.t.Fatal(err)
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
	go func() { _ = f.server.Serve(l) }()
}

// under tells whether a request is for a path, whatever the version before it.
func under(r *http.Request, path string) bool {
	return strings.HasPrefix(r.URL.Path, path) || strings.Contains(r.URL.Path, path) && strings.HasPrefix(r.URL.Path, "/v1.")
}
