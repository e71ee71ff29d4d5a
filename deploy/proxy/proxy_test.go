package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

func TestProxyIsARouter(t *testing.T) {
	deploytest.ExerciseRouter(t, func(t *testing.T) deploytest.RouterFixture {
		p := serve(t, Config{})
		return deploytest.RouterFixture{Router: p, Get: p.get, Do: p.client.Do}
	})
}

func TestRoutesAreServedFromTheFirstRequestOn(t *testing.T) {
	p := newTestProxy(t, Config{})
	upsert(t, p, "a.test", echoName(t, "a"))
	p.run(t)
	if status, body := p.get("a.test", "/"); status != http.StatusOK || body != "a" {
		t.Errorf("got %d %q", status, body)
	}
}

func TestUnknownHostIs404(t *testing.T) {
	p := serve(t, Config{})
	res, body := p.do(t, http.MethodGet, "nobody.test", "/", nil)
	if res.StatusCode != http.StatusNotFound || !strings.Contains(body, "No site here") {
		t.Errorf("got %d %q", res.StatusCode, body)
	}
	if ct := res.Header.Get("Content-Type"); ct != "text/html; charset=utf-8" {
		t.Errorf("content type %q", ct)
	}
}

func TestRouteWithoutUpstreamIs503(t *testing.T) {
	p := serve(t, Config{})
	upsert(t, p, "a.test", deploy.Upstream{})
	res, body := p.do(t, http.MethodGet, "a.test", "/", nil)
	if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "Not running") {
		t.Errorf("got %d %q", res.StatusCode, body)
	}
	if after := res.Header.Get("Retry-After"); after == "" || after == "0" {
		t.Errorf("Retry-After %q", after)
	}
	if got := p.Stats(); len(got) != 1 || got[0] != (Stats{Host: "a.test", Requests: 1, Failed: 1}) {
		t.Errorf("stats %+v", got)
	}
}

func TestDeadUpstreamIs502AndLoggedWithoutTheRequest(t *testing.T) {
	p := serve(t, Config{})
	upsert(t, p, "a.test", deploy.Upstream{Name: "dead", Addr: unusedAddr(t)})
	res, body := p.do(t, http.MethodGet, "a.test", "/?token=s3cret", http.Header{"X-Api-Key": {"s3cret"}})
	if res.StatusCode != http.StatusBadGateway || !strings.Contains(body, "No answer") {
		t.Errorf("got %d %q", res.StatusCode, body)
	}
	logged := p.logged.String()
	if !strings.Contains(logged, "upstream does not answer") || !strings.Contains(logged, "connection refused") {
		t.Errorf("log %q", logged)
	}
	if strings.Contains(logged, "s3cret") {
		t.Errorf("the log has what the client sent: %q", logged)
	}
	if got := p.Stats()[0].Failed; got != 1 {
		t.Errorf("%d failed, want 1", got)
	}
}

// A container that comes back under another address is found by the requests that wait for it.
func TestRedialFollowsTheRoute(t *testing.T) {
	p := serve(t, Config{})
	dead := unusedAddr(t)
	upsert(t, p, "a.test", deploy.Upstream{Name: "a", Addr: dead})
	got := make(chan string, 1)
	go func() {
		status, body := p.get("a.test", "/")
		got <- fmt.Sprint(status, " ", body)
	}()
	waitFor(t, func() bool { return p.Stats()[0].InFlight == 1 })
	up := echoName(t, "a")
	upsert(t, p, "a.test", up)
	if a := <-got; a != "200 a" {
		t.Errorf("got %q", a)
	}
	if err := p.Drain(t.Context(), db.Route{Host: "a.test"}, deploy.Upstream{Name: "a", Addr: dead}); err != nil {
		t.Errorf("drain of the old address: %v", err)
	}
}

func TestStopWaitsForRequests(t *testing.T) {
	p := serve(t, Config{Grace: 20 * time.Second})
	arrived, gate := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(gate) })
	defer release()
	upsert(t, p, "a.test", upstream(t, "a", func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-gate
		_, _ = w.Write(bytes.Repeat([]byte("x"), 1<<20))
	}))
	type result struct {
		status int
		n      int
	}
	got := make(chan result, 1)
	go func() {
		status, body := p.get("a.test", "/")
		got <- result{status, len(body)}
	}()
	<-arrived
	p.cancel()
	for refused := 0; refused < 50; { // new connections are, at once and for good
		c, err := net.Dial("tcp", p.HTTPAddr().String())
		if err == nil {
			_ = c.Close()
		} else {
			refused++
		}
		select {
		case err := <-p.done:
			t.Fatalf("Run returned while a request was in flight: %v", err)
		default:
		}
	}
	release()
	if r := <-got; r.status != http.StatusOK || r.n != 1<<20 {
		t.Errorf("the request in flight got %+v", r)
	}
	if err := p.wait(t); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestStopIsBoundedAndSendsWaitersAway(t *testing.T) {
	p := serve(t, Config{Grace: 100 * time.Millisecond})
	arrived := make(chan struct{})
	ended := make(chan struct{})
	upsert(t, p, "stuck.test", upstream(t, "stuck", func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(ended)
	}))
	upsert(t, p, "held.test", echoName(t, "held"))
	must(t, p.Hold(t.Context(), db.Route{Host: "held.test"}))
	go p.get("stuck.test", "/")
	<-arrived
	held := make(chan int, 1)
	go func() {
		status, _ := p.get("held.test", "/")
		held <- status
	}()
	waitFor(t, func() bool { return p.Stats()[0].Waiting == 1 })
	p.cancel()
	if status := <-held; status != http.StatusServiceUnavailable {
		t.Errorf("the waiting request got %d", status)
	}
	if err := p.wait(t); err != nil {
		t.Errorf("Run: %v", err)
	}
	<-ended
	if !strings.Contains(p.logged.String(), "requests outlast the grace") {
		t.Errorf("log %q", p.logged.String())
	}
}

func TestOneAtATimeAndAgain(t *testing.T) {
	first := serve(t, Config{})
	second := newTestProxy(t, Config{})
	if err := second.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another one runs") {
		t.Errorf("a second Run: %v", err)
	}
	first.cancel()
	must(t, first.wait(t))
	upsert(t, second, "a.test", echoName(t, "a"))
	second.run(t)
	if status, body := second.get("a.test", "/"); status != http.StatusOK || body != "a" {
		t.Errorf("got %d %q", status, body)
	}
}

func TestAddressInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	p := newTestProxy(t, Config{HTTP: "127.0.0.1:0", HTTPS: ln.Addr().String()})
	err = p.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Fatalf("Run: %v", err)
	}
	again := serve(t, Config{})
	upsert(t, again, "a.test", echoName(t, "a"))
	if status, _ := again.get("a.test", "/"); status != http.StatusOK {
		t.Errorf("after the failure: %d", status)
	}
}

// TestListenBeforeRun: who connects before Run is served by it, and an address in use is told with all others closed again.
func TestListenBeforeRun(t *testing.T) {
	p := newTestProxy(t, Config{})
	must(t, p.Listen(t.Context()))
	must(t, p.Listen(t.Context())) // is harmless
	code := make(chan int, 1)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://early.test/", nil)
	must(t, err)
	go func() {
		response, err := p.client.Do(request)
		if err != nil {
			code <- 0
			return
		}
		_ = response.Body.Close()
		code <- response.StatusCode
	}()
	p.run(t)
	if got := <-code; got != http.StatusNotFound {
		t.Errorf("who came early was answered %d", got)
	}

	taken := p.HTTPAddr().String()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := free.Addr().String()
	must(t, free.Close())
	other := newTestProxy(t, Config{HTTP: address, HTTPS: taken})
	refused, ok := errors.AsType[*ListenError](other.Listen(t.Context()))
	if !ok || refused.Scheme != "https" || refused.Address != taken || !errors.Is(refused, syscall.EADDRINUSE) {
		t.Errorf("the error is %v", refused)
	}
	again, err := net.Listen("tcp", address)
	must(t, err)
	must(t, again.Close())
}

func TestConfigIsChecked(t *testing.T) {
	for _, cfg := range []Config{{DataDir: "x"}, {HTTP: ":80"}} {
		if _, err := New(cfg, slog.Default()); err == nil {
			t.Errorf("New(%+v) takes it", cfg)
		}
	}
}

// Nothing is written outside the data folder, and nothing is said on standard error.
func TestLeavesNoTrace(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{"HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"} {
		t.Setenv(name, home)
	}
	stderr, restore := captureStderr(t)
	p := serve(t, Config{HTTPS: "127.0.0.1:0", InternalCA: true})
	upsert(t, p, "a.test", echoName(t, "a"))
	if res := p.getTLS(t, "a.test", "/"); res.StatusCode != http.StatusOK {
		t.Errorf("got %d", res.StatusCode)
	}
	p.cancel()
	must(t, p.wait(t))
	restore()
	must(t, filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("wrote %s", path)
		}
		return err
	}))
	if out := stderr(); out != "" {
		t.Errorf("standard error: %q", out)
	}
}
