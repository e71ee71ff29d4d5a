package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

// testProxy is a Proxy on loopback, and a client of it.
type testProxy struct {
	*Proxy
	logged *lockedBuffer
	cancel context.CancelFunc
	done   chan error
	client *http.Client
}

// newTestProxy makes a Proxy with an HTTP listener on a free port, unless cfg says where.
func newTestProxy(t *testing.T, cfg Config) *testProxy {
	t.Helper()
	if cfg.HTTP == "" {
		cfg.HTTP = "127.0.0.1:0"
	}
	cfg.DataDir = t.TempDir()
	logged := &lockedBuffer{}
	p, err := New(cfg, slog.New(slog.NewTextHandler(logged, nil)))
	must(t, err)
	tp := &testProxy{Proxy: p, logged: logged, done: make(chan error, 1)}
	transport := &http.Transport{
		DisableCompression:  true,
		MaxIdleConnsPerHost: 100,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", p.HTTPAddr().String())
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	tp.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return tp
}

// serve makes a Proxy and runs it until the test ends.
func serve(t *testing.T, cfg Config) *testProxy {
	t.Helper()
	p := newTestProxy(t, cfg)
	p.run(t)
	return p
}

func (p *testProxy) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go func() { p.done <- p.Run(ctx) }()
	select {
	case <-p.Ready():
	case err := <-p.done:
		t.Fatalf("run: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		_ = p.wait(t)
	})
}

// wait returns what Run returned. It may be repeated.
func (p *testProxy) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-p.done:
		p.done <- err
		return err
	case <-time.After(30 * time.Second):
		t.Error("Run does not return")
		return errors.New("timed out")
	}
}

func (p *testProxy) get(host, path string) (int, string) {
	req, err := http.NewRequest(http.MethodGet, "http://"+host+path, nil)
	if err != nil {
		return 0, err.Error()
	}
	res, err := p.client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

func (p *testProxy) do(t *testing.T, method, host, path string, h http.Header) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+host+path, nil)
	must(t, err)
	if h != nil {
		req.Header = h
	}
	res, err := p.client.Do(req)
	must(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return res, string(body)
}

func upsert(t *testing.T, p *testProxy, host string, up deploy.Upstream) {
	t.Helper()
	must(t, p.Upsert(t.Context(), db.Route{WorkloadID: 1, Host: host}, up))
}

func upstream(t *testing.T, name string, h http.HandlerFunc) deploy.Upstream {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return deploy.Upstream{Name: name, Addr: s.Listener.Addr().String(), Port: 8080}
}

func echoName(t *testing.T, name string) deploy.Upstream {
	t.Helper()
	return upstream(t, name, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
}

func unusedAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// waitFor polls a condition that has no signal.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("waited in vain")
		}
	}
}

// captureStderr sends file descriptor 2 to a file until restore.
func captureStderr(t *testing.T) (read func() string, restore func()) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	must(t, err)
	restore = redirectStderr(t, f)
	return func() string {
		b, err := os.ReadFile(f.Name())
		must(t, err)
		return string(b)
	}, restore
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
