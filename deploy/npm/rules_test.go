package npm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/npm"
)

var web = db.Route{WorkloadID: 1, Host: host}

// fails wants a failure whose text has all parts.
func fails(t *testing.T, err error, parts ...string) {
	t.Helper()
	var failure *deploy.Failure
	if !errors.As(err, &failure) {
		t.Errorf("the error is %v, want a failure for users", err)
		return
	}
	for _, part := range parts {
		if !strings.Contains(failure.Text, part) {
			t.Errorf("the failure does not say %q:\n%s", part, failure.Text)
		}
	}
}

func (w *world) wants(status int, body string) {
	w.t.Helper()
	if s, b := w.get(host, "/"); s != status || body != "" && b != body {
		w.t.Errorf("the host answers %d %q, want %d %q", s, b, status, body)
	}
}

// live routes to a release that answers its name.
func (w *world) live(name string) deploy.Upstream {
	w.t.Helper()
	up := newApp(w.t, name, http.StatusOK)
	must(w.t, w.Upsert(w.t.Context(), web, up))
	w.wants(http.StatusOK, name)
	return up
}

// sent records the bodies of calls of a method.
func (w *world) sent(method string) func() []map[string]any {
	var mu sync.Mutex
	var all []map[string]any
	w.npm.Wrap(func(_ int, next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(text))
			if r.Method == method && !strings.HasSuffix(r.URL.Path, "/tokens") {
				body := map[string]any{}
				_ = json.Unmarshal(text, &body)
				mu.Lock()
				all = append(all, body)
				mu.Unlock()
			}
			next.ServeHTTP(rw, r)
		})
	})
	return func() []map[string]any { mu.Lock(); defer mu.Unlock(); return slices.Clone(all) }
}

// TestS8_RepointIsOnePut: of the three fields, to the row that is there. Nothing is deleted or made anew.
func TestS8_RepointIsOnePut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.live("tf-web-1")
	puts := w.sent(http.MethodPut)
	w.live("tf-web-2")
	bodies := puts()
	if len(bodies) != 1 || w.npm.Writes() != 1 {
		t.Fatalf("calls %q", w.npm.Calls())
	}
	if keys := slices.Sorted(maps.Keys(bodies[0])); !slices.Equal(keys, []string{"forward_host", "forward_port", "forward_scheme"}) {
		t.Errorf("the PUT sets %q", keys)
	}
	if bodies[0]["forward_host"] != "tf-web-2" || bodies[0]["forward_port"] != 8080.0 {
		t.Errorf("the PUT is %v", bodies[0])
	}
}

// TestS15_CreationBearsOurMark and the four fields that are needed.
func TestS15_CreationBearsOurMark(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	posts := w.sent(http.MethodPost)
	w.live("tf-web-1")
	if n := len(posts()); n != 1 {
		t.Fatalf("%d creations", n)
	}
	meta, _ := w.npm.Host(host)["meta"].(map[string]any)
	mark, _ := meta["tinyforge"].(map[string]any)
	if mark["instance"] != "abcdefgh" || mark["workload"] != 1.0 || mark["host"] != host {
		t.Errorf("the meta is %v", meta)
	}
}

// TestS15_SameAgainIsCheap: recovery upserts every route twice a minute.
func TestS15_SameAgainIsCheap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	up := w.live("tf-web-1")
	w.npm.Wrap(nil)
	for range 3 {
		must(t, w.Upsert(t.Context(), web, up))
		if got, err := w.Current(t.Context(), web); err != nil || got != up {
			t.Errorf("current is %+v, %v", got, err)
		}
	}
	if calls := w.npm.Calls(); len(calls) != 0 {
		t.Errorf("it calls %q", calls)
	}
	other := w.again(nil) // another process has seen nothing yet, and asks
	must(t, other.Upsert(t.Context(), web, up))
	if w.npm.Writes() != 0 || len(w.npm.Calls()) != 2 {
		t.Errorf("another process calls %q, want a login and a question", w.npm.Calls())
	}
}

// TestS15_WhatAPersonChangedIsCorrected, since nginx is asked each time.
func TestS15_WhatAPersonChangedIsCorrected(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	up := w.live("tf-web-1")
	w.person(map[string]any{"forward_host": "127.0.0.1", "forward_port": 9.0})
	must(t, w.Upsert(t.Context(), web, up))
	w.wants(http.StatusOK, "tf-web-1")
	w.person(map[string]any{"advanced_config": "client_max_body_size 1m;"})
	must(t, w.Upsert(t.Context(), web, up))
	if text := w.npm.Host(host)["advanced_config"].(string); !strings.HasPrefix(text, "client_max_body_size 1m;\n# Tinyforge begins") {
		t.Errorf("the advanced configuration is\n%s", text)
	}
	must(t, w.npm.Drop(host))
	w.nginx.Quiet()
	must(t, w.Upsert(t.Context(), web, up))
	w.wants(http.StatusOK, "tf-web-1")
}

// TestS15_OneWriterAtATime: two changes at once would break each other.
func TestS15_OneWriterAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var group sync.WaitGroup
	for i := range 6 {
		up := newApp(t, "tf-web-1", http.StatusOK)
		group.Go(func() {
			rt := db.Route{WorkloadID: int64(i), Host: string(rune('a'+i)) + ".example.com"}
			if err := w.Router.Upsert(t.Context(), rt, deploy.Upstream{Name: up.Addr[:9], Addr: up.Addr, Port: portOf(up.Addr)}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if w.npm.Overlaps() != 0 {
		t.Errorf("%d changes met another", w.npm.Overlaps())
	}
}

// TestS15_UnreachableReleaseIsUndone: NPM answers 200 and nginx is online, but nobody there knows the name.
func TestS15_UnreachableReleaseIsUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	blue := w.live("tf-web-1")
	green := newApp(t, "tf-web-2", http.StatusOK)
	err := w.Router.Upsert(t.Context(), web, green)
	fails(t, err, "The route of "+host+" was not moved", "cannot connect to tf-web-2:8080", "docker network connect")
	w.wants(http.StatusOK, "tf-web-1")
	if got, err := w.Current(t.Context(), web); err != nil || got != blue {
		t.Errorf("current is %+v, %v", got, err)
	}
	w.npm.Wrap(nil)
	must(t, w.Upsert(t.Context(), web, blue))
	if w.npm.Writes() != 0 {
		t.Errorf("blue is written again: %q", w.npm.Calls())
	}
}

// TestS15_DownReleaseIsNotWrittenAgain: recovery upserts what does not listen yet, and must not keep NPM busy with it.
func TestS15_DownReleaseIsNotWrittenAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	up := w.live("tf-web-1")
	moved := deploy.Upstream{Name: up.Name, Addr: deadAddress, Port: up.Port}
	fails(t, w.Upsert(t.Context(), web, moved), "cannot connect")
	w.npm.Wrap(nil)
	fails(t, w.Upsert(t.Context(), web, moved), "cannot connect")
	if w.npm.Writes() != 0 {
		t.Errorf("it writes %q", w.npm.Calls())
	}
	must(t, w.Upsert(t.Context(), web, up))
	w.wants(http.StatusOK, "tf-web-1")
}

// TestS15_DisabledHost is somebody's will: it is said, and left.
func TestS15_DisabledHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	blue := w.live("tf-web-1")
	must(t, w.npm.Switch(host, false))
	w.nginx.Quiet()
	fails(t, w.Upsert(t.Context(), web, newApp(t, "tf-web-2", http.StatusOK)), "disabled", "enable it there")
	for _, up := range []deploy.Upstream{blue, {}, blue} { // an undo, and what recovery does, are not kept from their work
		must(t, w.Upsert(t.Context(), web, up))
	}
	if w.npm.Host(host)["enabled"] != false {
		t.Error("it was enabled")
	}
	must(t, w.npm.Switch(host, true))
	w.nginx.Quiet()
	w.live("tf-web-3")
}

// TestS15_LoginTrouble is said, and does not keep NPM busy with password hashes.
func TestS15_LoginTrouble(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	up := newApp(t, "tf-web-1", http.StatusOK)
	wrong := w.again(func(c *npm.Config) { c.Password = "wrong" })
	for range 2 {
		fails(t, wrong.Upsert(t.Context(), web, up), "refuses the login of admin@example.com", "TINYFORGE_NPM_PASSWORD")
	}
	if n := len(w.npm.Calls()); n != 1 {
		t.Errorf("it tries %d times", n)
	}
	w.npm.WantSecondFactor(true)
	fails(t, w.again(nil).Upsert(t.Context(), web, up), "second factor", "--npm-identity")
	w.npm.WantSecondFactor(false)

	blue := w.live("tf-web-1")
	w.npm.ExpireTokens()
	w.live("tf-web-2")
	w.npm.ForgetTokens()
	w.live("tf-web-3")
	must(t, w.Upsert(t.Context(), web, blue))
	fails(t, w.again(func(c *npm.Config) { c.URL = "http://" + deadAddress }).Upsert(t.Context(), web, up), "does not answer at http://", "--npm-url")
	fails(t, w.again(func(c *npm.Config) { c.URL = "http://" + w.nginx.Addr }).Upsert(t.Context(), web, up), "is not the API", "--npm-url")
	fails(t, w.again(func(c *npm.Config) { c.Proxy, c.Settle = deadAddress, time.Second }).Upsert(t.Context(), web, newApp(t, "tf-web-4", 200)), "--npm-proxy")
	w.nginx.Quiet() // it could not look itself
	w.wants(http.StatusOK, "tf-web-1")
}

// TestS15_TakenName: the list does not show all that a name may be taken by.
func TestS15_TakenName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.npm.AddUser("bot@example.com", "secret of the bot", false)
	w.npm.AddUser("guest@example.com", "secret of the guest", true)
	w.person(foreign())
	up := newApp(t, "tf-web-1", http.StatusOK)
	bot := w.again(func(c *npm.Config) { c.Identity, c.Password = "bot@example.com", "secret of the bot" })
	fails(t, bot.Upsert(t.Context(), web, up), host+" is taken", "bot@example.com does not see")
	guest := w.again(func(c *npm.Config) { c.Identity, c.Password = "guest@example.com", "secret of the guest" })
	fails(t, guest.Upsert(t.Context(), db.Route{Host: "new.example.com"}, up), "answered 500", "guest@example.com may not manage proxy hosts")
}

// TestS15_ReservedHost is Tinyforge's own.
func TestS15_ReservedHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.Reserve("WWW.example.com")
	fails(t, w.Upsert(t.Context(), web, newApp(t, "tf-web-1", 200)), "--public-url")
	must(t, w.Delete(t.Context(), web))
	if calls := w.npm.Calls(); len(calls) != 0 {
		t.Errorf("it calls %q", calls)
	}
	w.Release("www.example.COM")
	must(t, w.Upsert(t.Context(), web, newApp(t, "tf-web-1", 200)))
}

// TestS15_Check: what a proxy host of ours cannot do has its place in NPM.
func TestS15_Check(t *testing.T) {
	t.Parallel()
	r := newWorld(t, nil).Router
	must(t, r.Check(web))
	for name, test := range map[string]struct {
		rt   db.Route
		says string
	}{
		"redirect":     {db.Route{Host: "example.com", RedirectTo: host}, "Redirection Host to " + host},
		"paths":        {db.Route{Host: host, RouteOptions: db.RouteOptions{Paths: []string{"/a"}}}, "Custom Location"},
		"strip prefix": {db.Route{Host: host, RouteOptions: db.RouteOptions{StripPrefix: true}}, "Custom Location"},
		"basic auth":   {db.Route{Host: host, RouteOptions: db.RouteOptions{BasicAuth: []db.BasicAuth{{}}}}, "Access List"},
		"max body":     {db.Route{Host: host, RouteOptions: db.RouteOptions{MaxBody: 1}}, "client_max_body_size"},
		"timeout":      {db.Route{Host: host, RouteOptions: db.RouteOptions{Timeout: time.Second}}, "proxy_read_timeout"},
	} {
		if err := r.Check(test.rt); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestS15_WhatAsksForAPasswordIsNotOpened, should a route come here unchecked.
func TestS15_WhatAsksForAPasswordIsNotOpened(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	shut := web
	shut.BasicAuth = []db.BasicAuth{{Username: "dana", Hash: "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"}}
	must(t, w.Upsert(t.Context(), shut, deploy.Upstream{}))
	fails(t, w.Upsert(t.Context(), shut, newApp(t, "tf-web-1", http.StatusOK)), "Access List")
	w.wants(http.StatusServiceUnavailable, "")
}

// TestS15_BadTarget: NPM takes what would break its nginx.
func TestS15_BadTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, up := range []deploy.Upstream{
		{Name: `a"b`, Port: 80}, {Name: "a b", Port: 80}, {Name: "a/b", Port: 80}, {Name: "$host", Port: 80}, {Name: "a:80", Port: 80}, {Name: "a;b", Port: 80},
		{Name: "", Port: 80}, {Name: "-a", Port: 80}, {Name: strings.Repeat("a", 256), Port: 80}, {Name: "a", Port: 0}, {Name: "a", Port: 65536},
	} {
		if err := w.Router.Upsert(t.Context(), web, up); err == nil {
			t.Errorf("%+v is taken", up)
		}
	}
	if calls := w.npm.Calls(); len(calls) != 0 {
		t.Errorf("it calls %q", calls)
	}
}
