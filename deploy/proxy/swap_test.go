package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Every request of a steady load is answered, while releases come and go and each old one is killed as soon as it is
// drained.
func TestS8_SwapUnderLoad(t *testing.T) {
	const swaps = 40
	p := serve(t, Config{})
	rt := db.Route{WorkloadID: 1, Host: "a.test"}
	blue := startRelease(t, 0)
	must(t, p.Upsert(t.Context(), rt, blue.up))

	l := newLoad(p)
	for range 8 {
		l.start(l.keepAliveGet)
		l.start(l.slowPost)
	}
	for range 2 {
		l.start(l.freshGet)
	}
	for i := range swaps {
		green := startRelease(t, i+1)
		must(t, p.Upsert(t.Context(), rt, green.up))
		if status, body := p.get("a.test", "/"); status != http.StatusOK || body != green.up.Name {
			t.Fatalf("right after the swap to %s: %d %q", green.up.Name, status, body)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		must(t, p.Drain(ctx, rt, blue.up))
		cancel()
		blue.kill()
		blue = green
	}
	l.stop()

	t.Logf("%d swaps, %d requests, %d failed", swaps, l.ok.Load(), len(l.failures))
	if len(l.failures) > 0 || l.ok.Load() < swaps {
		t.Errorf("%d of %d requests failed, the first ones: %.1000s", len(l.failures), l.ok.Load(), fmt.Sprint(l.failures))
	}
	s := p.Stats()[0]
	if s.Failed != 0 || s.InFlight != 0 || s.Requests != l.ok.Load()+swaps {
		t.Errorf("stats %+v after %d requests", s, l.ok.Load()+swaps)
	}
}

// With a hold, the same goes for a release that must stop before the next one starts.
func TestHoldUnderLoad(t *testing.T) {
	p := serve(t, Config{})
	rt := db.Route{WorkloadID: 1, Host: "a.test"}
	blue := startRelease(t, 0)
	must(t, p.Upsert(t.Context(), rt, blue.up))
	l := newLoad(p)
	for range 8 {
		l.start(l.keepAliveGet)
		l.start(l.slowPost)
	}
	for i := range 10 {
		must(t, p.Hold(t.Context(), rt))
		must(t, p.Drain(t.Context(), rt, blue.up))
		blue.kill()
		blue = startRelease(t, i+1)
		must(t, p.Upsert(t.Context(), rt, blue.up))
		so := l.ok.Load()
		waitFor(t, func() bool { return l.ok.Load() > so+100 })
	}
	l.stop()
	t.Logf("%d requests, %d failed", l.ok.Load(), len(l.failures))
	if len(l.failures) > 0 || l.ok.Load() == 0 {
		t.Errorf("%d of %d requests failed, the first ones: %.1000s", len(l.failures), l.ok.Load(), fmt.Sprint(l.failures))
	}
}

// release is an upstream that can be killed like a container: its listener and all its connections at once.
type release struct {
	up     deploy.Upstream
	server *http.Server
}

func startRelease(t *testing.T, n int) release {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	name := fmt.Sprintf("tf-web-%d", n)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body, err := io.ReadAll(r.Body)
			if err != nil || len(body) != 4096 {
				http.Error(w, "short body", http.StatusBadRequest)
				return
			}
			<-time.After(30 * time.Millisecond) // the request takes that long
		}
		_, _ = io.WriteString(w, name)
	})}
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
	return release{deploy.Upstream{Name: name, Addr: ln.Addr().String(), Port: 80}, s}
}

func (r release) kill() { _ = r.server.Close() }

// load is clients that ask one after the other, without repeating anything.
type load struct {
	p    *testProxy
	done chan struct{}
	wg   sync.WaitGroup
	ok   atomic.Int64

	mu       sync.Mutex
	failures []string
}

func newLoad(p *testProxy) *load { return &load{p: p, done: make(chan struct{})} }

func (l *load) start(ask func(*http.Client) (*http.Response, error)) {
	client := *l.p.client
	client.Transport = client.Transport.(*http.Transport).Clone()
	l.wg.Go(func() {
		defer client.CloseIdleConnections()
		for {
			select {
			case <-l.done:
				return
			default:
				l.note(ask(&client))
			}
		}
	})
}

func (l *load) stop() {
	close(l.done)
	l.wg.Wait()
}

func (l *load) note(res *http.Response, err error) {
	var body []byte
	if err == nil {
		body, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
	if err == nil && res.StatusCode == http.StatusOK && bytes.HasPrefix(body, []byte("tf-web-")) {
		l.ok.Add(1)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, fmt.Sprintf("%v %.80q; ", err, body))
}

func (l *load) keepAliveGet(c *http.Client) (*http.Response, error) { return c.Get("http://a.test/") }

func (l *load) freshGet(c *http.Client) (*http.Response, error) {
	c.CloseIdleConnections()
	return c.Get("http://a.test/")
}

// slowPost has a body that the client's transport cannot send a second time.
func (l *load) slowPost(c *http.Client) (*http.Response, error) {
	body := io.MultiReader(bytes.NewReader(make([]byte, 4096)))
	req, err := http.NewRequest(http.MethodPost, "http://a.test/", body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = 4096
	return c.Do(req)
}
