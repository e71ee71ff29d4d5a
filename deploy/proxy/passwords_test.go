package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
	"golang.org/x/crypto/bcrypt"

	"tinyforge/db"
	"tinyforge/deploy"
)

// user is somebody with a password, kept at little cost.
func user(t *testing.T, name, password string) db.BasicAuth {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	must(t, err)
	return db.BasicAuth{Username: name, Hash: string(hash)}
}

// guarded are the options of a route that ann may see.
func guarded(t *testing.T) db.RouteOptions {
	t.Helper()
	return db.RouteOptions{BasicAuth: []db.BasicAuth{user(t, "ann", "correct horse"), user(t, "bob", "battery staple")}}
}

// signedIn is a request with a name and a password.
func signedIn(name, password string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://a.test/", nil)
	r.SetBasicAuth(name, password)
	return r
}

// counted counts comparisons.
func counted(p *passwords) *atomic.Int64 {
	n := &atomic.Int64{}
	compare := p.compare
	p.compare = func(hash, password []byte) error {
		n.Add(1)
		return compare(hash, password)
	}
	return n
}

func TestPasswordsAreComparedOnce(t *testing.T) {
	p := newPasswords()
	p.turns = make(chan struct{}, 1)
	n := counted(p)
	o := newOptions(db.Route{RouteOptions: guarded(t)})
	done := make(chan error)
	for range 50 { // a page with its assets
		go func() { done <- p.signIn(signedIn("ann", "correct horse"), o) }()
	}
	for range 50 {
		must(t, <-done)
	}
	if got := n.Load(); got != 1 {
		t.Errorf("50 requests were %d comparisons, want 1", got)
	}
	if left := o.signingIn.Load(); left != 0 {
		t.Errorf("%d requests still wait", left)
	}
}

// A name that does not exist costs as much as a wrong password, also with a password that is somebody's and known.
func TestNamesAreNotTold(t *testing.T) {
	p := newPasswords()
	o := newOptions(db.Route{RouteOptions: guarded(t)})
	must(t, p.signIn(signedIn("ann", "correct horse"), o))
	n := counted(p)
	for i, r := range []*http.Request{
		signedIn("ann", "wrong"), signedIn("eve", "wrong"), signedIn("eve", "correct horse"), signedIn("bob", "correct horse"), signedIn("", ""),
		signedIn("ann", "wrong"), // a wrong one is not remembered
	} {
		if err := p.signIn(r, o); !errors.Is(err, errUnauthorized) {
			t.Errorf("request %d: %v, want errUnauthorized", i, err)
		}
		if got := n.Load(); got != int64(i)+1 {
			t.Errorf("request %d was compared %d times, want once", i, got-int64(i))
		}
	}
}

// bcrypt looks at 72 bytes: what begins like the password is not the password.
func TestLongPasswords(t *testing.T) {
	p, long := newPasswords(), strings.Repeat("x", deploy.MostPassword)
	o := newOptions(db.Route{RouteOptions: db.RouteOptions{BasicAuth: []db.BasicAuth{user(t, "ann", long)}}})
	must(t, p.signIn(signedIn("ann", long), o))
	if err := p.signIn(signedIn("ann", long+"y"), o); !errors.Is(err, errUnauthorized) {
		t.Errorf("got %v", err)
	}
}

func TestRememberedPasswordsAreBoundedAndNotInClear(t *testing.T) {
	p := newPasswords()
	for i := range mostKnown + 10 {
		p.remember(p.mac("hash", fmt.Sprint(i)))
	}
	if len(p.known) != mostKnown || !p.knows(p.mac("hash", fmt.Sprint(mostKnown+9))) {
		t.Errorf("%d are remembered, the last one %t", len(p.known), p.knows(p.mac("hash", fmt.Sprint(mostKnown+9))))
	}
	if other := newPasswords(); other.mac("hash", "1") == p.mac("hash", "1") {
		t.Error("two processes have the same key")
	}
}

// A flood takes no more turns than there are, waits in bounded number, and goes with its clients.
func TestSigningInIsBounded(t *testing.T) {
	p := newPasswords()
	gate, under, most := make(chan struct{}), atomic.Int64{}, atomic.Int64{}
	begun := make(chan struct{}, mostSigningIn)
	p.compare = func(_, _ []byte) error {
		most.Store(max(most.Load(), under.Add(1)))
		defer under.Add(-1)
		begun <- struct{}{}
		<-gate
		return errors.New("wrong")
	}
	o := newOptions(db.Route{RouteOptions: guarded(t)})
	done := make(chan error, mostSigningIn)
	for range mostSigningIn {
		go func() { done <- p.signIn(signedIn("ann", "guess"), o) }()
	}
	<-begun
	waitFor(t, func() bool { return o.signingIn.Load() == mostSigningIn })
	if err := p.signIn(signedIn("ann", "guess"), o); !errors.Is(err, errBusy) {
		t.Errorf("one more: %v, want errBusy", err)
	}
	p.remember(p.mac(o.BasicAuth[0].Hash, "correct horse"))
	must(t, p.signIn(signedIn("ann", "correct horse"), o)) // who has signed in does not wait

	other := newOptions(db.Route{RouteOptions: guarded(t)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.signIn(signedIn("ann", "guess").WithContext(ctx), other); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that is gone: %v", err)
	}
	close(gate)
	for range mostSigningIn {
		if err := <-done; !errors.Is(err, errUnauthorized) {
			t.Errorf("got %v", err)
		}
	}
	if n := int(most.Load()); n > 1 {
		t.Errorf("%d comparisons at a time for one route, want one", n)
	}
}

// All routes together take no more turns than there are, and who signs in at one does not wait for the flood at another.
func TestRoutesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPasswords()
		p.turns = make(chan struct{}, 1)
		flooded, other := newOptions(db.Route{RouteOptions: guarded(t)}), newOptions(db.Route{RouteOptions: guarded(t)})
		begun, gate := make(chan string, 1), make(chan struct{})
		p.compare = func(hash, _ []byte) error {
			begun <- string(hash)
			<-gate
			return nil
		}
		done := make(chan error, mostSigningIn+1)
		for n := range mostSigningIn {
			go func() { done <- p.signIn(signedIn("ann", fmt.Sprint("guess ", n)), flooded) }()
		}
		synctest.Wait()
		go func() { done <- p.signIn(signedIn("ann", "correct horse"), other) }()
		synctest.Wait() // all wait
		for n, want := range []string{flooded.BasicAuth[0].Hash, other.BasicAuth[0].Hash, flooded.BasicAuth[0].Hash} {
			if got := <-begun; got != want {
				t.Errorf("comparison %d is of the other route", n)
			}
			if len(begun) > 0 {
				t.Error("two are under way")
			}
			gate <- struct{}{}
			synctest.Wait()
		}
		close(gate)
		go func() {
			for range begun { // the rest
			}
		}()
		for range mostSigningIn + 1 {
			must(t, <-done)
		}
		close(begun)
	})
}

func TestBasicAuth(t *testing.T) {
	p := serve(t, Config{})
	rt := db.Route{WorkloadID: 1, Host: "a.test", RouteOptions: guarded(t)}
	got := make(chan http.Header, 1)
	must(t, p.Upsert(t.Context(), rt, upstream(t, "a", func(_ http.ResponseWriter, r *http.Request) { got <- r.Header })))

	res, body := p.do(t, http.MethodGet, "A.test", "/", nil)
	if asks := res.Header.Get("WWW-Authenticate"); res.StatusCode != http.StatusUnauthorized || asks != `Basic realm="a.test", charset="UTF-8"` || !strings.Contains(body, "Sign in") {
		t.Errorf("got %d, WWW-Authenticate %q: %s", res.StatusCode, asks, body)
	}
	for _, other := range []string{"Bearer x", "Basic", "Basic !!", "Basic YW5u"} {
		if res, _ := p.do(t, http.MethodGet, "a.test", "/", http.Header{"Authorization": {other}}); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d", other, res.StatusCode)
		}
	}
	h := signedIn("ann", "correct horse").Header
	h["Authorization"] = append(h["Authorization"], "Bearer of-something-else")
	h.Set("Cookie", "a=b")
	if res, _ := p.do(t, http.MethodGet, "a.test", "/", h); res.StatusCode != http.StatusOK {
		t.Fatalf("signed in: %d", res.StatusCode)
	}
	want(t, <-got, map[string]string{"Authorization": "", "Cookie": "a=b"})
	if s := p.Stats()[0]; s != (Stats{Host: "a.test", Requests: 6}) {
		t.Errorf("stats %+v", s)
	}
	if out := p.logged.String(); out != "" {
		t.Errorf("logged %q", out)
	}
}

// Without auth the credentials are the application's own.
func TestAuthorizationIsTheUpstreamsElsewhere(t *testing.T) {
	got := forwarded(t, Config{}, http.Header{"Authorization": {"Basic YTpi"}})
	want(t, got, map[string]string{"Authorization": "Basic YTpi"})
}

// Nobody waits on a held route, or learns whether something is deployed, before he has signed in.
func TestBasicAuthComesFirst(t *testing.T) {
	p := serve(t, Config{})
	rt := db.Route{WorkloadID: 1, Host: "a.test", RouteOptions: guarded(t)}
	rt.Paths, rt.MaxBody = []string{"/app"}, 1
	for range 2 {
		must(t, p.Upsert(t.Context(), rt, deploy.Upstream{}))
		for _, path := range []string{"/", "/app"} {
			if status, _ := p.get("a.test", path); status != http.StatusUnauthorized {
				t.Errorf("%s: %d, want 401", path, status)
			}
		}
		must(t, p.Hold(t.Context(), rt))
	}
}

func TestWebsocketBehindOptions(t *testing.T) {
	p := serve(t, Config{})
	rt := db.Route{WorkloadID: 1, Host: "a.test", RouteOptions: guarded(t)}
	rt.MaxBody, rt.Timeout, rt.Paths = 1, eventually, []string{"/ws", "/events"}
	must(t, p.Upsert(t.Context(), rt, streamer(t, "blue")))
	if _, res, err := websocket.Dial(t.Context(), "ws://a.test/ws", &websocket.DialOptions{HTTPClient: p.client}); err == nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a password: %v", err)
	}
	c, _, err := websocket.Dial(t.Context(), "ws://a.test/ws", &websocket.DialOptions{
		HTTPClient: p.client, HTTPHeader: signedIn("ann", "correct horse").Header})
	must(t, err)
	defer c.CloseNow()
	for range 3 {
		wantEcho(t, c, "blue")
	}
}
