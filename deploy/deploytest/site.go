package deploytest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/deploy"
)

// site is an upstream that answers with its name. A request of "/slow" waits for release; what it got last is kept.
type site struct {
	server   *httptest.Server
	up       deploy.Upstream
	answer   atomic.Value
	requests atomic.Int64
	last     atomic.Pointer[received]
	arrived  chan struct{}
	gate     chan struct{}
	open     sync.Once
}

// received is a request as a site got it.
type received struct {
	uri    string
	header http.Header
	body   string
	whole  bool // the body came to its end
}

func newSite(t *testing.T, name string) *site {
	b := &site{arrived: make(chan struct{}, 1), gate: make(chan struct{})}
	b.answer.Store(name)
	b.server = httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(func() {
		b.release() // or else Close waits for who is kept waiting
		b.server.Close()
	})
	addr := b.server.Listener.Addr().String()
	b.up = deploy.Upstream{Name: name, Addr: addr, Port: 8080}
	return b
}

func (b *site) serve(w http.ResponseWriter, r *http.Request) {
	b.requests.Add(1)
	body, err := io.ReadAll(r.Body)
	b.last.Store(&received{r.RequestURI, r.Header, string(body), err == nil})
	if r.URL.Path == "/slow" {
		b.arrived <- struct{}{}
		select {
		case <-b.gate:
		case <-r.Context().Done():
		}
	}
	_, _ = w.Write([]byte(b.answer.Load().(string)))
}

func (b *site) release() { b.open.Do(func() { close(b.gate) }) }

// slowGet starts a request and returns when it has reached the site.
func (b *site) slowGet(t *testing.T, f RouterFixture) visit {
	t.Helper()
	p := f.visit(routeHost, "/slow")
	select {
	case <-b.arrived:
	case a := <-p:
		t.Fatalf("the request did not reach its upstream: %d %q", a.status, a.body)
	}
	return p
}

type answered struct {
	status int
	body   string
}

// visit is a request under way.
type visit chan answered

func (p visit) get(t *testing.T) answered {
	t.Helper()
	select {
	case a := <-p:
		return a
	case <-time.After(20 * time.Second):
		t.Fatal("the request was never answered")
		return answered{}
	}
}

func (p visit) wants(t *testing.T, status int, body string) {
	t.Helper()
	if a := p.get(t); a.status != status || a.body != body {
		t.Errorf("got %d %q, want %d %q", a.status, a.body, status, body)
	}
}
