package proxy

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// socketPath is short enough for a socket, in a folder of its own.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tf")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "proxy.sock")
}

// administer runs the socket of a proxy until stop, at the latest until the test ends.
func administer(t *testing.T, p *testProxy, path string) (stop func()) {
	t.Helper()
	a, err := p.ListenAdmin(t.Context(), path)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop = func() {
		cancel()
		if err, ended := <-done; ended && err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { cancel() })
	return stop
}

func TestClientIsARouter(t *testing.T) {
	deploytest.ExerciseRouter(t, func(t *testing.T) deploytest.RouterFixture {
		p := serve(t, Config{Routes: filepath.Join(t.TempDir(), "routes")})
		path := socketPath(t)
		administer(t, p, path)
		return deploytest.RouterFixture{Router: NewClient(path), Get: p.get, Do: p.client.Do}
	})
}

// TestErrorsSurviveTheWay: who asks through the socket can tell them apart as one in the process can, and reads the same words.
func TestErrorsSurviveTheWay(t *testing.T) {
	p := serve(t, Config{})
	path := socketPath(t)
	administer(t, p, path)
	c := NewClient(path)
	rt := db.Route{WorkloadID: 7, Host: "a.test"}
	own := db.Route{WorkloadID: 7, Host: "deploy.test"}
	must(t, c.Reserve("deploy.test", up("tinyforge")))
	must(t, c.Upsert(t.Context(), rt, up("tf-web-1")))
	absent := db.Route{Host: "b.test"}
	for name, pair := range map[string][2]error{
		"no route": {errOf(c.Current(t.Context(), absent)), errOf(p.Current(t.Context(), absent))},
		"serving":  {c.Drain(t.Context(), rt, up("tf-web-1")), p.Drain(t.Context(), rt, up("tf-web-1"))},
		"reserved": {c.Upsert(t.Context(), own, up("tf-web-1")), p.Upsert(t.Context(), own, up("tf-web-1"))},
		"refused":  {c.Upsert(t.Context(), rt, deploy.Upstream{Addr: "nowhere"}), p.Upsert(t.Context(), rt, deploy.Upstream{Addr: "nowhere"})},
	} {
		got, want := pair[0], pair[1]
		if got == nil || want == nil || got.Error() != want.Error() || errors.Is(got, deploy.ErrNoRoute) != errors.Is(want, deploy.ErrNoRoute) ||
			errors.Is(got, ErrServing) != errors.Is(want, ErrServing) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		a, isA := errors.AsType[*deploy.Failure](got)
		b, isB := errors.AsType[*deploy.Failure](want)
		if isA != isB || isA && a.Text != b.Text {
			t.Errorf("%s: for people %+v, want %+v", name, a, b)
		}
	}
	full := &deploy.Failure{Text: "No.", Fault: deploy.FaultOf("route_refused", "host", "a.test"), Err: errors.ErrUnsupported}
	back := newFault(full).err()
	said, ok := errors.AsType[*deploy.Failure](back)
	if !ok || said.Text != full.Text || said.Fault.Code != "route_refused" || said.Fault.Values["host"] != "a.test" ||
		!errors.Is(back, errors.ErrUnsupported) || back.Error() != full.Error() {
		t.Errorf("%v, %+v", back, said)
	}
}

func errOf(_ deploy.Upstream, err error) error { return err }

// TestClientTellsTheFigures, and whose host is whose, as one in the process is told.
func TestClientTellsTheFigures(t *testing.T) {
	p := serve(t, Config{})
	path := socketPath(t)
	stop := administer(t, p, path)
	c := NewClient(path)
	must(t, c.Upsert(t.Context(), db.Route{Host: "a.test"}, echoName(t, "a")))
	must(t, c.Reserve("deploy.test", echoName(t, "tinyforge")))
	for range 3 {
		p.get("a.test", "/")
	}
	if all, failed, ok := c.Counts(db.Route{Host: "A.test"}); all != 3 || failed != 0 || !ok {
		t.Errorf("counts %d, %d, %t", all, failed, ok)
	}
	if _, _, ok := c.Counts(db.Route{Host: "b.test"}); ok {
		t.Error("an absent route has counts")
	}
	if s := c.Stats(); len(s) != 2 || s[0].Host != "a.test" || s[0].Requests != 3 || s[1].Host != "deploy.test" {
		t.Errorf("stats %+v", s)
	}
	if hosts, err := c.Reserved(); err != nil || len(hosts) != 1 || hosts[0] != "deploy.test" {
		t.Errorf("reserved are %q, %v", hosts, err)
	}
	must(t, c.Release("deploy.test"))
	if hosts, err := c.Reserved(); err != nil || len(hosts) != 0 {
		t.Errorf("reserved are %q, %v", hosts, err)
	}
	state, err := c.State(t.Context())
	if err != nil || state.ID == "" || state.HTTP != "127.0.0.1:0" || state.HTTPS != "" {
		t.Errorf("state %+v, %v", state, err)
	}
	stop()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	if _, _, ok := c.Counts(db.Route{Host: "a.test"}); ok || c.Stats() != nil {
		t.Error("there are figures of a proxy that is away")
	}
}

// TestHoldOutlivesTheClient: whoever comes after a client that was killed finds its route held, and lets the requests go on.
func TestHoldOutlivesTheClient(t *testing.T) {
	p := serve(t, Config{})
	path := socketPath(t)
	administer(t, p, path)
	rt := db.Route{Host: "a.test"}
	must(t, NewClient(path).Upsert(t.Context(), rt, echoName(t, "blue")))
	must(t, NewClient(path).Hold(t.Context(), rt))
	got := make(chan string, 1)
	go func() {
		_, body := p.get("a.test", "/")
		got <- body
	}()
	waitFor(t, func() bool { return p.stat("a.test").Waiting == 1 })
	next := NewClient(path)
	must(t, next.Hold(t.Context(), rt))
	must(t, next.Upsert(t.Context(), rt, echoName(t, "green")))
	if body := <-got; body != "green" {
		t.Errorf("what waited got %q", body)
	}
}

// TestClientWaitsForTheNextProxy: a proxy that is started anew is waited for; one that never answered is not.
func TestClientWaitsForTheNextProxy(t *testing.T) {
	cfg := Config{Routes: filepath.Join(t.TempDir(), "routes")}
	path := socketPath(t)
	c, rt := NewClient(path), db.Route{Host: "a.test"}
	err := c.Upsert(t.Context(), rt, up("tf-web-1"))
	_, away := errors.AsType[*AwayError](err)
	said, ok := errors.AsType[*deploy.Failure](err)
	if !away || !ok || strings.Contains(said.Text, path) || !strings.Contains(err.Error(), path) || said.Fault == nil || said.Fault.Code != "proxy_silent" || said.Fault.Values["socket"] != path || !strings.Contains(err.Error(), "no such file") {
		t.Fatalf("without a proxy: %v", err)
	}
	first := newTestProxy(t, cfg)
	stop := administer(t, first, path)
	must(t, c.Upsert(t.Context(), rt, up("tf-web-1")))
	stop()
	first.Close()
	done, waits := make(chan error, 1), make(chan string, 1)
	ctx := deploy.WithWaits(t.Context(), func(proxy string) {
		select {
		case waits <- proxy:
		default:
		}
	})
	go func() { done <- c.Upsert(ctx, rt, up("tf-web-2")) }()
	if proxy := <-waits; proxy != "the proxy at "+path {
		t.Errorf("it waits for %s", proxy)
	}
	next := newTestProxy(t, cfg)
	t.Cleanup(next.Close)
	administer(t, next, path)
	must(t, <-done)
	if got, err := next.Current(t.Context(), rt); err != nil || got != up("tf-web-2") {
		t.Errorf("it leads to %+v, %v", got, err)
	}
}

// TestSilentProxyIsAway: one that takes connections and says nothing is the same as none, unless it is who asks that gives up.
func TestSilentProxyIsAway(t *testing.T) {
	path := socketPath(t)
	silent, err := net.Listen("unix", path)
	must(t, err)
	defer func() { _ = silent.Close() }()
	c := NewClient(path)
	c.limit = 50 * time.Millisecond
	err = c.Upsert(t.Context(), db.Route{Host: "a.test"}, up("tf-web-1"))
	if _, away := errors.AsType[*AwayError](err); !away || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("of a silent proxy: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = c.Upsert(ctx, db.Route{Host: "a.test"}, up("tf-web-1"))
	if _, away := errors.AsType[*AwayError](err); away || !errors.Is(err, context.Canceled) {
		t.Errorf("of who gives up: %v", err)
	}
}

// TestDrainEndsWithItsClient: it is bounded by the client's time, and what is left then is ended.
func TestDrainEndsWithItsClient(t *testing.T) {
	p := serve(t, Config{})
	path := socketPath(t)
	administer(t, p, path)
	c, rt := NewClient(path), db.Route{Host: "a.test"}
	begun := make(chan struct{})
	blue := upstream(t, "blue", func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
	})
	must(t, c.Upsert(t.Context(), rt, blue))
	answered := make(chan int, 1)
	go func() {
		status, _ := p.get("a.test", "/")
		answered <- status
	}()
	<-begun
	must(t, c.Upsert(t.Context(), rt, up("tf-web-2")))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Drain(ctx, rt, blue); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drain: %v", err)
	}
	if status := <-answered; status == http.StatusOK {
		t.Errorf("what was left is answered %d", status)
	}
}

// TestSocket: its owner alone may use it, what a killed process left is replaced, and what must not be is not.
func TestSocket(t *testing.T) {
	p := newTestProxy(t, Config{})
	path := socketPath(t)
	left, err := net.Listen("unix", path)
	must(t, err)
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	must(t, left.Close())
	administer(t, p, path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	file := filepath.Join(filepath.Dir(path), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	open := filepath.Join(filepath.Dir(path), "open")
	must(t, os.Mkdir(open, 0o700))
	must(t, os.Chmod(open, 0o777)) //nolint:gosec // that is what is refused
	for path, words := range map[string]string{
		path: "another proxy listens on " + path, file: "is no socket", filepath.Join(open, "x"): "everybody may write to " + open,
		"/nonexistent/proxy.sock":                     "there is no folder /nonexistent to make the socket in",
		filepath.Join(open, strings.Repeat("x", 100)): "is too long for a socket",
	} {
		if _, err := p.ListenAdmin(t.Context(), path); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

// TestAdminIsNotOverwhelmed: what is no call of ours is refused, without an effect and without its whole body being read.
func TestAdminIsNotOverwhelmed(t *testing.T) {
	p := newTestProxy(t, Config{})
	path := socketPath(t)
	administer(t, p, path)
	c := NewClient(path)
	for name, test := range map[string]struct {
		body   string
		status int
	}{
		"upsert": {`{"Route":{"Host":"a.test","BasicAuth":"` + strings.Repeat("x", 2*askMost), http.StatusBadRequest},
		"hold":   {"nonsense", http.StatusBadRequest},
		"else":   {"{}", http.StatusNotFound},
	} {
		response, err := c.http.Post("http://proxy/"+name, "application/json", strings.NewReader(test.body))
		must(t, err)
		must(t, response.Body.Close())
		if response.StatusCode != test.status {
			t.Errorf("%s: %d, want %d", name, response.StatusCode, test.status)
		}
	}
	if s := c.Stats(); len(s) != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestOrdersAreTakenOnTheSocketAlone: nobody who asks for a site can give one, whatever host they name, and on the socket it is
// these that are taken and no others.
func TestOrdersAreTakenOnTheSocketAlone(t *testing.T) {
	p := serve(t, Config{})
	path := socketPath(t)
	administer(t, p, path)
	c := NewClient(path)
	must(t, c.Upsert(t.Context(), db.Route{Host: "a.test"}, echoName(t, "a")))
	calls := []string{"counts", "current", "delete", "drain", "hold", "release", "reserve", "reserved", "state", "stats", "targets", "upsert"}
	if all := slices.Sorted(maps.Keys((&Admin{proxy: p.Proxy}).calls())); !slices.Equal(all, calls) {
		t.Errorf("the calls are %q: is each one of them for who may use the socket?", all)
	}
	for _, call := range calls {
		for _, host := range []string{"proxy", "a.test", "localhost"} {
			req, err := http.NewRequest(http.MethodPost, "http://"+host+"/"+call, strings.NewReader(`{"Route":{"Host":"a.test"}}`))
			must(t, err)
			res, err := p.client.Do(req)
			must(t, err)
			body, err := io.ReadAll(res.Body)
			must(t, errors.Join(err, res.Body.Close()))
			if host == "a.test" && string(body) == "a" {
				continue // the site's own
			}
			if res.StatusCode != http.StatusNotFound {
				t.Errorf("%s at %s is answered %d %s", call, host, res.StatusCode, body)
			}
		}
		res, err := c.http.Get("http://proxy/" + call)
		must(t, err)
		must(t, res.Body.Close())
		if res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("GET %s on the socket is answered %d", call, res.StatusCode)
		}
	}
	if status, body := p.get("a.test", "/"); status != http.StatusOK || body != "a" {
		t.Errorf("the route is another: %d %q", status, body)
	}
}
