package deploy_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"tinyforge/db"
)

const (
	shop = "shop.example.com"
	apex = "example.com"
)

// route saves what the workload says of its routes.
func (w *world) route(r db.Routing) {
	w.t.Helper()
	w.workload.Routing = r
	must(w.t, w.db.SaveWorkload(w.t.Context(), &w.workload))
}

// answers checks what a visitor of a host gets. A body of "" is not compared.
func (w *world) answers(host string, status int, body string) {
	w.t.Helper()
	if s, b := w.router.Get(host, "/"); s != status || body != "" && b != body {
		w.t.Errorf("%s answers %d %q, want %d %q", host, s, b, status, body)
	}
}

// leaving checks which hosts the workload has given back and still has routes of.
func (w *world) leaving(want ...string) {
	w.t.Helper()
	got, err := w.db.LeavingHosts(w.t.Context(), w.workload.ID)
	if err != nil || !slices.Equal(got, want) {
		w.t.Errorf("leaving are %q (%v), want %q", got, err, want)
	}
}

func TestHostsComeAndGoWhileLive(t *testing.T) {
	t.Parallel()
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, kindOf(config), config)
			web := w.live("a")
			w.route(db.Routing{Aliases: []string{shop}, Redirects: []string{apex}})
			for range 2 {
				w.pass()
				w.routesAre(map[string]db.Deployment{host: web, shop: web, apex: web})
				w.answers(shop, http.StatusOK, "a")
				w.answers(apex, http.StatusMovedPermanently, "")
				w.leaving()
			}
			w.route(db.Routing{Aliases: []string{apex}}) // one goes, one is served from now on
			for range 2 {
				w.pass()
				w.routesAre(map[string]db.Deployment{host: web, apex: web})
				w.answers(apex, http.StatusOK, "a")
				w.answers(shop, http.StatusNotFound, "")
				w.leaving()
			}
			next := w.live("b")
			w.routesAre(map[string]db.Deployment{host: next, apex: next})
			if calls := w.router.Calls(); slices.Contains(calls, "delete "+host) {
				t.Errorf("a host that stays was deleted: %q", calls)
			}
		})
	}
}

// TestRedirectsNeedNoRelease: they work from the start, and follow the host that they lead to.
func TestRedirectsNeedNoRelease(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.route(db.Routing{Redirects: []string{apex}})
	leadsTo := func(want string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+apex+"/x", nil)
		must(t, err)
		res, err := w.router.Do(req)
		must(t, err)
		if got := res.Header.Get("Location"); got != "http://"+want+"/x" {
			t.Errorf("%d to %q, want %s", res.StatusCode, got, want)
		}
	}
	w.pass()
	leadsTo(host)
	w.answers(host, http.StatusServiceUnavailable, "")
	w.live("a")
	leadsTo(host)
	w.workload.Host = shop
	w.route(w.workload.Routing)
	w.pass()
	leadsTo(shop)
	w.answers(host, http.StatusNotFound, "")
	w.leaving()
}

func TestOptionsChangeWhileLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	web := w.live("a")
	w.route(db.Routing{Aliases: []string{shop}, Redirects: []string{apex}, RouteOptions: db.RouteOptions{Paths: []string{"/app"}}})
	w.pass()
	for _, h := range []string{host, shop} {
		w.answers(h, http.StatusNotFound, "")
		if status, body := w.router.Get(h, "/app"); status != http.StatusOK || body != "a" {
			t.Errorf("%s: %d %q", h, status, body)
		}
	}
	w.answers(apex, http.StatusMovedPermanently, "")
	w.route(db.Routing{})
	w.pass()
	w.answers(host, http.StatusOK, "a")
	w.routesAre(map[string]db.Deployment{host: web})
}

// TestHostsExchanged: two workloads exchange an alias for a host, and nobody's recovery takes away what it has no more.
func TestHostsExchanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.route(db.Routing{Aliases: []string{shop}, Redirects: []string{apex}})
	web := w.live("a")
	api, other := w.second("api", "api.example.com", "b")

	api.Host = "free.example.com"
	must(t, w.db.SaveWorkload(t.Context(), &api))
	w.route(db.Routing{Aliases: []string{"api.example.com"}})
	api.Host, api.Routing = shop, db.Routing{Redirects: []string{apex}}
	must(t, w.db.SaveWorkload(t.Context(), &api))
	for range 2 {
		w.pass()
		w.routesAre(map[string]db.Deployment{host: web, "api.example.com": web, shop: other, apex: other})
		w.answers("api.example.com", http.StatusOK, "a")
		w.answers(shop, http.StatusOK, "b")
		w.answers(apex, http.StatusMovedPermanently, "")
	}
	next := w.run(w.push("c"))
	w.routesAre(map[string]db.Deployment{host: next, "api.example.com": next, shop: other, apex: other})
}

func TestDeletedWorkloadFreesAllHosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.route(db.Routing{Aliases: []string{shop}, Redirects: []string{apex}})
	dep := w.live("a")
	must(t, w.db.MarkReported(t.Context(), db.CommitKey{RepositoryID: w.repo.ID, Commit: dep.Commit}, []db.Deployment{w.deployment(dep.ID)}))
	must(t, w.db.DeleteWorkload(t.Context(), w.workload.ID, false))
	w.pass()
	w.routesAre(nil)
	heir, other := w.second("heir", apex, "b")
	heir.Routing = db.Routing{Aliases: []string{host, shop}}
	must(t, w.db.SaveWorkload(t.Context(), &heir))
	w.pass()
	w.routesAre(map[string]db.Deployment{apex: other, host: other, shop: other})
}

// TestHostThatGoesStaysGuarded: until the recovery takes a host away it asks for the password that it had.
func TestHostThatGoesStaysGuarded(t *testing.T) {
	t.Parallel()
	hash, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.MinCost)
	must(t, err)
	w := newWorld(t, "dockerfile", blueGreen)
	options := db.RouteOptions{BasicAuth: []db.BasicAuth{{Username: "ann", Hash: string(hash)}}}
	w.route(db.Routing{Aliases: []string{shop}, RouteOptions: options})
	w.run(w.push("a"))
	w.route(db.Routing{RouteOptions: options})
	dep := w.run(w.push("b"))
	w.routesAre(map[string]db.Deployment{host: dep, shop: dep})
	w.answers(shop, http.StatusUnauthorized, "")
	w.pass()
	w.routesAre(map[string]db.Deployment{host: dep})
	w.answers(host, http.StatusUnauthorized, "")
}

// TestRouteThatCannotBe: a deploy says so before it builds, and the recovery does for the other hosts what it can.
func TestRouteThatCannotBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	web := w.live("a")
	w.route(db.Routing{Redirects: []string{host, apex}}) // no page and no file lets that pass
	w.runtime.Exit(web.Release.ID, 1)
	w.router.Forget()
	if err := w.recoverOnce(); err == nil || !strings.Contains(err.Error(), "redirected to itself") {
		t.Errorf("the recovery says %v", err)
	}
	w.routesAre(map[string]db.Deployment{host: web, apex: web})
	w.answers(host, http.StatusOK, "a")

	built := len(w.builds.specs)
	dep := w.run(w.push("b"))
	want := "The router cannot serve " + host + ": " + host + " would be redirected to itself: take it out of the redirects; the previous release still serves"
	if fault := dep.Fault; fault == nil || fault.Code != "route_refused" || fault.Values["host"] != host {
		t.Errorf("the fault is %+v", fault)
	}
	if dep.Phase != db.PhaseFailed || dep.Error != want {
		t.Errorf("%s: %q, want %q", dep.Phase, dep.Error, want)
	}
	if len(w.builds.specs) != built {
		t.Error("it was built")
	}
}
