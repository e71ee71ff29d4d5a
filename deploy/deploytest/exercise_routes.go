package deploytest

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"tinyforge/db"
	"tinyforge/deploy"
)

// can tells whether the Router takes such a route.
func (f RouterFixture) can(t *testing.T, rt db.Route) bool {
	t.Helper()
	err := f.Router.Check(rt)
	if err != nil {
		t.Logf("the router refuses it: %v", err)
	}
	return err == nil
}

// ask sends a request, and returns the status and the header of the answer.
func (f RouterFixture) ask(t *testing.T, method, host, path, body string, edit func(*http.Request)) (int, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+host+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(req)
	}
	res, err := f.Do(req)
	if err != nil {
		t.Fatalf("%s http://%s%s: %v", method, host, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Errorf("%s http://%s%s: %v", method, host, path, err)
	}
	return res.StatusCode, res.Header
}

func routerSeveralHosts(t *testing.T, f RouterFixture) {
	blue, green, other := newSite(t, "tf-web-1"), newSite(t, "tf-web-2"), newSite(t, "tf-other-1")
	w := db.Workload{ID: 1, Host: routeHost, Routing: db.Routing{Aliases: []string{"example.org", "shop.example.com"}}}
	noFault(t, "upsert", f.Router.Upsert(t.Context(), db.Route{WorkloadID: 2, Host: "other.example.com"}, other.up))
	for _, s := range []*site{blue, green} {
		for _, rt := range w.Routes() {
			noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, s.up))
		}
		for _, rt := range w.Routes() {
			f.wants(t, rt.Host, http.StatusOK, s.up.Name)
			f.points(t, rt, s.up)
		}
	}
	noFault(t, "delete", f.Router.Delete(t.Context(), w.Routes()[1]))
	f.wants(t, "example.org", f.absent(), "")
	f.wants(t, routeHost, http.StatusOK, green.up.Name)
	f.wants(t, "shop.example.com", http.StatusOK, green.up.Name)
	f.wants(t, "other.example.com", http.StatusOK, other.up.Name)
}

func routerRedirect(t *testing.T, f RouterFixture) {
	rt := db.Route{WorkloadID: 1, Host: "example.com", RedirectTo: routeHost}
	if !f.can(t, rt) {
		return
	}
	blue := newSite(t, "tf-web-1")
	noFault(t, "upsert", f.Router.Upsert(t.Context(), db.Route{WorkloadID: 1, Host: routeHost}, blue.up))
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, blue.up))
	f.points(t, rt, blue.up)
	for method, status := range map[string]int{
		http.MethodGet: http.StatusMovedPermanently, http.MethodHead: http.StatusMovedPermanently,
		http.MethodPost: http.StatusPermanentRedirect, http.MethodDelete: http.StatusPermanentRedirect,
	} {
		got, header := f.ask(t, method, "example.com", "/a%2Fb/c?q=1&r=%20", "", nil)
		if to := header.Get("Location"); got != status || !strings.HasSuffix(to, "/a%2Fb/c?q=1&r=%20") || !strings.Contains(to, "://"+routeHost) {
			t.Errorf("%s: %d to %q, want %d to the same path of %s", method, got, to, status, routeHost)
		}
	}
	if n := blue.requests.Load(); n != 0 {
		t.Errorf("the upstream got %d requests, want none", n)
	}
	noFault(t, "upsert", f.Router.Upsert(t.Context(), db.Route{WorkloadID: 1, Host: "example.com"}, blue.up))
	f.wants(t, "example.com", http.StatusOK, blue.up.Name)
}

// routerRedirectEmpty: nothing need be deployed for a redirect.
func routerRedirectEmpty(t *testing.T, f RouterFixture) {
	rt := db.Route{WorkloadID: 1, Host: "example.com", RedirectTo: routeHost}
	if !f.can(t, rt) {
		return
	}
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, deploy.Upstream{}))
	f.wants(t, "example.com", http.StatusMovedPermanently, "")
	f.points(t, rt, deploy.Upstream{})
	noFault(t, "delete", f.Router.Delete(t.Context(), rt))
	f.wants(t, "example.com", f.absent(), "")
}

func routerPaths(t *testing.T, f RouterFixture) {
	rt := db.Route{WorkloadID: 1, Host: routeHost, RouteOptions: db.RouteOptions{Paths: []string{"/app", "/api/v1"}}}
	if !f.can(t, rt) {
		return
	}
	blue := newSite(t, "tf-web-1")
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, blue.up))
	for path, status := range map[string]int{
		"/app": http.StatusOK, "/app/": http.StatusOK, "/app/x?q=/admin": http.StatusOK, "/api/v1/x": http.StatusOK, "/%61pp/x": http.StatusOK,
		"/": http.StatusNotFound, "/application": http.StatusNotFound, "/api": http.StatusNotFound, "/App": http.StatusNotFound,
		"//app": http.StatusNotFound, "/app/../admin": http.StatusNotFound, "/app%2f..": http.StatusNotFound, "/app/%2e%2e/admin": http.StatusNotFound,
		"/%61dmin": http.StatusNotFound, "/app/..%5cadmin": http.StatusNotFound, "/admin/../app": http.StatusNotFound,
	} {
		blue.last.Store(nil)
		if got, _ := f.ask(t, http.MethodGet, routeHost, path, "", nil); got != status {
			t.Errorf("%s: %d, want %d", path, got, status)
		}
		if got := blue.last.Load(); (got != nil) != (status == http.StatusOK) || got != nil && got.uri != path {
			t.Errorf("%s: the upstream got %+v", path, got)
		}
	}
}

func routerStripPrefix(t *testing.T, f RouterFixture) {
	rt := db.Route{WorkloadID: 1, Host: routeHost, RouteOptions: db.RouteOptions{Paths: []string{"/app", "/app/v2"}, StripPrefix: true}}
	if !f.can(t, rt) {
		return
	}
	blue := newSite(t, "tf-web-1")
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, blue.up))
	for path, want := range map[string]string{
		"/app": "/app /", "/app/": "/app /", "/app?q=1": "/app /?q=1", "/app/x/y": "/app /x/y", "/app/v2/x": "/app/v2 /x",
		"/app/a%2Fb%20c": "/app /a%2Fb%20c", "/%61pp/x": "/app /x", "/app//evil.example.com": "/app /evil.example.com",
	} {
		f.ask(t, http.MethodGet, routeHost, path, "", func(r *http.Request) { r.Header.Set("X-Forwarded-Prefix", "/mine") })
		got := blue.last.Load()
		if got == nil || got.header.Get("X-Forwarded-Prefix")+" "+got.uri != want {
			t.Errorf("%s: the upstream got %+v, want %s", path, got, want)
		}
	}
}

// user is somebody with a password, kept at little cost.
func user(t *testing.T, name, password string) db.BasicAuth {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return db.BasicAuth{Username: name, Hash: string(hash)}
}

func routerBasicAuth(t *testing.T, f RouterFixture) {
	rt := db.Route{WorkloadID: 1, Host: routeHost, RouteOptions: db.RouteOptions{
		BasicAuth: []db.BasicAuth{user(t, "ann", "correct horse"), user(t, "bob", "pä:ss")}}}
	if !f.can(t, rt) {
		return
	}
	blue := newSite(t, "tf-web-1")
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, blue.up))
	for _, test := range []struct {
		name, password string
		status         int
	}{
		{"ann", "correct horse", http.StatusOK}, {"bob", "pä:ss", http.StatusOK}, {"ann", "correct horse", http.StatusOK},
		{"ann", "correct hors", http.StatusUnauthorized}, {"ann", "pä:ss", http.StatusUnauthorized}, {"eve", "correct horse", http.StatusUnauthorized},
		{"", "correct horse", http.StatusUnauthorized}, {"ann", "", http.StatusUnauthorized}, {"Ann", "correct horse", http.StatusUnauthorized},
	} {
		blue.last.Store(nil)
		status, _ := f.ask(t, http.MethodGet, routeHost, "/", "", func(r *http.Request) { r.SetBasicAuth(test.name, test.password) })
		if status != test.status {
			t.Errorf("%s with %q: %d, want %d", test.name, test.password, status, test.status)
		}
		if got := blue.last.Load(); got != nil && (test.status != http.StatusOK || got.header.Get("Authorization") != "") {
			t.Errorf("%s with %q: the upstream got %+v", test.name, test.password, got)
		}
	}
	status, header := f.ask(t, http.MethodGet, routeHost, "/", "", nil)
	if asks := header.Get("WWW-Authenticate"); status != http.StatusUnauthorized || !strings.HasPrefix(asks, `Basic realm="`+routeHost+`"`) {
		t.Errorf("without a name: %d, WWW-Authenticate %q", status, asks)
	}
	rt.BasicAuth = []db.BasicAuth{user(t, "ann", "battery staple")}
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, blue.up))
	for password, status := range map[string]int{"correct horse": http.StatusUnauthorized, "battery staple": http.StatusOK} {
		if got, _ := f.ask(t, http.MethodGet, routeHost, "/", "", func(r *http.Request) { r.SetBasicAuth("ann", password) }); got != status {
			t.Errorf("with another password set, %q: %d, want %d", password, got, status)
		}
	}
}

func routerMaxBody(t *testing.T, f RouterFixture) {
	rt := db.Route{WorkloadID: 1, Host: routeHost, RouteOptions: db.RouteOptions{MaxBody: 1000}}
	if !f.can(t, rt) {
		return
	}
	blue := newSite(t, "tf-web-1")
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, blue.up))
	for _, chunked := range []bool{false, true} {
		for size, status := range map[int]int{0: http.StatusOK, 999: http.StatusOK, 1000: http.StatusOK,
			1001: http.StatusRequestEntityTooLarge, 100_000: http.StatusRequestEntityTooLarge} {
			blue.last.Store(nil)
			code, _ := f.ask(t, http.MethodPost, routeHost, "/", strings.Repeat("x", size), func(r *http.Request) {
				if chunked {
					r.ContentLength, r.Body = -1, io.NopCloser(io.MultiReader(r.Body))
				}
			})
			if code != status {
				t.Errorf("%d bytes, chunked %t: %d, want %d", size, chunked, code, status)
			}
			got := blue.last.Load()
			if status == http.StatusOK && (got == nil || len(got.body) != size) || got != nil && (len(got.body) > 1000 || got.whole != (status == http.StatusOK)) {
				t.Errorf("%d bytes, chunked %t: the upstream got %+v", size, chunked, got)
			}
		}
	}
}

// routerOtherOptions: the options change while the upstream stays.
func routerOtherOptions(t *testing.T, f RouterFixture) {
	rt := db.Route{WorkloadID: 1, Host: routeHost}
	blue := newSite(t, "tf-web-1")
	for _, test := range []struct {
		options db.RouteOptions
		status  int
	}{
		{db.RouteOptions{}, http.StatusOK},
		{db.RouteOptions{Paths: []string{"/app"}}, http.StatusNotFound},
		{db.RouteOptions{BasicAuth: []db.BasicAuth{user(t, "ann", "correct horse")}}, http.StatusUnauthorized},
		{db.RouteOptions{MaxBody: 1}, http.StatusOK},
		{db.RouteOptions{}, http.StatusOK},
	} {
		if rt.RouteOptions = test.options; !f.can(t, rt) {
			continue
		}
		for range 2 {
			noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, blue.up))
			f.wants(t, routeHost, test.status, "")
			f.points(t, rt, blue.up)
		}
	}
}

// routerOptionsUnderWay: a request under way is not disturbed by other options, and can still be drained.
func routerOptionsUnderWay(t *testing.T, f RouterFixture) {
	rt := db.Route{WorkloadID: 1, Host: routeHost, RouteOptions: db.RouteOptions{Paths: []string{"/app"}}}
	if !f.can(t, rt) {
		return
	}
	blue, green := newSite(t, "tf-web-1"), newSite(t, "tf-web-2")
	noFault(t, "upsert", f.Router.Upsert(t.Context(), db.Route{WorkloadID: 1, Host: routeHost}, blue.up))
	slow := blue.slowGet(t, f)
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, blue.up))
	f.wants(t, routeHost, http.StatusNotFound, "")
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, green.up))
	blue.release()
	noFault(t, "drain", f.Router.Drain(t.Context(), rt, blue.up))
	slow.wants(t, http.StatusOK, blue.up.Name)
}

// routerRefused: what makes no sense is refused, and changes nothing.
func routerRefused(t *testing.T, f RouterFixture) {
	blue := newSite(t, "tf-web-1")
	rt := db.Route{WorkloadID: 1, Host: routeHost}
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, blue.up))
	for name, bad := range map[string]db.Route{
		"redirect to itself": {RedirectTo: routeHost},
		"relative prefix":    {RouteOptions: db.RouteOptions{Paths: []string{"app"}}},
		"climbing prefix":    {RouteOptions: db.RouteOptions{Paths: []string{"/a/../b"}}},
		"password":           {RouteOptions: db.RouteOptions{BasicAuth: []db.BasicAuth{{Username: "ann", Hash: "hunter2"}}}},
		"negative body":      {RouteOptions: db.RouteOptions{MaxBody: -1}},
	} {
		bad.WorkloadID, bad.Host = 1, routeHost
		if f.Router.Check(bad) == nil || f.Router.Upsert(t.Context(), bad, blue.up) == nil {
			t.Errorf("%s: it is taken", name)
		}
		f.wants(t, routeHost, http.StatusOK, blue.up.Name)
	}
}
