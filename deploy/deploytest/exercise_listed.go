package deploytest

import (
	"errors"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

// routerListed: where a Router tells of all its routes at once, by what it tells an Upsert may be left out that would change nothing.
func routerListed(t *testing.T, f RouterFixture) {
	router := f.Router
	if sharer, ok := router.(deploy.Sharer); ok {
		var err error
		router, err = sharer.Since(t.Context())
		noFault(t, "since", err)
	}
	lister, ok := router.(deploy.Lister)
	if !ok {
		t.Log("it does not tell")
		return
	}
	targets := func() map[string]deploy.Target {
		t.Helper()
		all, err := lister.Targets(t.Context())
		noFault(t, "targets", err)
		return all
	}
	if all := targets(); len(all) > 0 {
		t.Errorf("without routes there are %+v", all)
	}
	blue, green := newSite(t, "tf-web-1"), newSite(t, "tf-web-2")
	options := db.RouteOptions{Paths: []string{"/app"}, StripPrefix: true, MaxBody: 5, Timeout: time.Minute,
		BasicAuth: []db.BasicAuth{user(t, "ann", "secret")}}
	w := db.Workload{ID: 1, Host: routeHost, Routing: db.Routing{Aliases: []string{"example.org"}, Redirects: []string{"old.example.org"}, RouteOptions: options}}
	plain := db.Route{WorkloadID: 1, Host: routeHost}
	for _, up := range []deploy.Upstream{blue.up, green.up, {}} {
		for _, rt := range w.Routes() {
			noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, up))
		}
		all := targets()
		for _, rt := range w.Routes() {
			if !all[rt.Host].Is(rt, up) || all[rt.Host].Is(rt, deploy.Upstream{Name: up.Name, Addr: "127.0.0.1:1"}) {
				t.Errorf("%s is %+v", rt.Host, all[rt.Host])
			}
		}
		if len(all) != 3 || all[routeHost].Is(plain, up) {
			t.Errorf("there are %+v", all)
		}
	}
	noFault(t, "upsert", f.Router.Upsert(t.Context(), plain, blue.up))
	if at := targets()[routeHost]; !at.Is(plain, blue.up) || at.Is(w.Routes()[0], blue.up) {
		t.Errorf("without options it is %+v", at)
	}
	if err := f.Router.Hold(t.Context(), plain); !errors.Is(err, errors.ErrUnsupported) {
		noFault(t, "hold", err)
		if at := targets()[routeHost]; at.Is(plain, blue.up) {
			t.Errorf("held it is %+v", at)
		}
	}
	noFault(t, "upsert", f.Router.Upsert(t.Context(), plain, blue.up))
	noFault(t, "delete", f.Router.Delete(t.Context(), w.Routes()[1]))
	if all := targets(); len(all) != 2 || !all[routeHost].Is(plain, blue.up) {
		t.Errorf("there are %+v", all)
	}
}
