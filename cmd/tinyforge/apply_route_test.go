package main

import (
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"tinyforge/app/forgetest"
	"tinyforge/db"
)

func TestManifestRoute(t *testing.T) {
	r := testReader(map[string]string{"SECRET": "hook", "TOKEN": "tok", "ANN": "correct horse"}, map[string]string{"key.pem": rsaPEM(), "bob": "pä:ss\n"})
	m := r.read([]byte(goodWorkload + `
    host: www.example.com
    route:
      hosts: [shop.example.com, example.org]
      redirects: [example.com]
      prefixes: [/app, /api/v1]
      strip_prefix: true
      basic_auth:
        - {username: ann, password: env:ANN}
        - {username: bob, password: file:bob}
      max_body: 100MB
      timeout: 1m30s
  - {name: api, forge: git, repository: acme/api, source: dockerfile, host: api.example.com, route: {redirects: [], hosts: , timeout: }}
`))
	if err := r.faults.err(); err != nil {
		t.Fatal(err)
	}
	web, api := m.workloads[0], m.workloads[1]
	want := db.Routing{Aliases: []string{"shop.example.com", "example.org"}, Redirects: []string{"example.com"}, RouteOptions: db.RouteOptions{
		Paths: []string{"/app", "/api/v1"}, StripPrefix: true, MaxBody: 100 << 20, Timeout: 90 * time.Second}}
	if !reflect.DeepEqual(web.row.Routing, want) || !reflect.DeepEqual(api.row.Routing, db.Routing{}) {
		t.Errorf("the routes are %+v, %+v", web.row.Routing, api.row.Routing)
	}
	if users := []manifestUser{{"ann", "correct horse"}, {"bob", "pä:ss"}}; !slices.Equal(web.users, users) {
		t.Errorf("the users are %+v", web.users)
	}
	var hosts []string
	for _, h := range web.hosts {
		hosts = append(hosts, h.host)
	}
	if !slices.Equal(hosts, web.row.Hosts()) || web.hosts[3].at.path != "workloads[0].route.redirects[0]" {
		t.Errorf("the hosts are %+v, want those of %q", web.hosts, web.row.Hosts())
	}
}

func TestManifestRouteFaults(t *testing.T) {
	const noHost = "route (line 9): needs a host: write host beside it, the name under which people know the site"
	for name, test := range map[string]struct{ route, want string }{
		"none":           {"", ""},
		"a list":         {"route: []", "route (line 10): must be an object with hosts, redirects, prefixes, strip_prefix, basic_auth, max_body, timeout"},
		"unknown key":    {"route: {redirect: [a.example.com]}", `route.redirect (line 10): is not a known key: did you mean "redirects"?`},
		"paths":          {"route: {paths: [/app]}", `route.paths (line 10): is not a known key: use hosts, redirects, prefixes, strip_prefix, basic_auth, max_body, timeout`},
		"hosts":          {"route: {hosts: a.example.com}", "route.hosts (line 10): must be a list, such as [shop.example.com]"},
		"host":           {"route: {hosts: ['https://a.example.com']}", `route.hosts[0] (line 10): must be a host name alone, such as "www.example.com", without "https://" and without a path`},
		"host case":      {"route: {hosts: [A.example.com]}", "route.hosts[0] (line 10): must be written in lower case"},
		"empty host":     {"route: {hosts: ['']}", "route.hosts[0] (line 10): is empty: leave it out"},
		"redirect":       {"route: {redirects: [a b]}", `route.redirects[0] (line 10): is not a host name: use letters, digits, '-' and '.', such as "www.example.com"; other scripts in their xn-- form`},
		"same host":      {"route: {hosts: [www.example.com]}", "route.hosts[0] (line 10): is the same host as workloads[0].host (line 9): it can lead to one place only, so leave one of them out"},
		"same redirect":  {"route:\n      hosts: [a.example.com]\n      redirects: [b.example.com, a.example.com]", "route.redirects[1] (line 12): is the same host as workloads[0].route.hosts[0] (line 11): it can lead to one place only, so leave one of them out"},
		"itself":         {"route: {redirects: [www.example.com]}", "route.redirects[0] (line 10): is the host itself, which cannot be redirected to itself: leave it out, or make another one the host"},
		"others host":    {"route: {redirects: [api.example.com]}", "*workloads[1].host (line 11): is the same host as workloads[0].route.redirects[0] (line 10): it can lead to one place only, so leave one of them out"},
		"prefix":         {"route: {prefixes: [app]}", `route.prefixes[0] (line 10): must begin with "/", such as "/app"`},
		"empty segment":  {"route: {prefixes: [/a//b]}", `route.prefixes[0] (line 10): must not have "//", "." or ".." in it: write the path as it is asked for, such as "/app"`},
		"climbing":       {"route: {prefixes: [/a/../b]}", `route.prefixes[0] (line 10): must not have "//", "." or ".." in it: write the path as it is asked for, such as "/app"`},
		"final slash":    {"route: {prefixes: [/a/]}", `route.prefixes[0] (line 10): must not end with "/": "/a" stands for itself and all below it`},
		"all":            {"route: {prefixes: [/]}", `route.prefixes[0] (line 10): is all paths: leave it out, and all are served`},
		"star":           {"route: {prefixes: [/a/*]}", `route.prefixes[0] (line 10): must be a plain path, such as "/app", without spaces and without any of %?#;*\`},
		"same prefix":    {"route: {prefixes: [/a, /b, /a]}", "route.prefixes[2] (line 10): is the same prefix as workloads[0].route.prefixes[0] (line 10)"},
		"strip":          {"route: {strip_prefix: true}", "route.strip_prefix (line 10): takes off one of the prefixes: name them under prefixes, or leave it out"},
		"strip in words": {"route: {strip_prefix: 'yes'}", "route.strip_prefix (line 10): must be true or false"},
		"user":           {"route: {basic_auth: [ann]}", "route.basic_auth[0] (line 10): must be an object with username, password"},
		"no password":    {"route: {basic_auth: [{username: ann}]}", "route.basic_auth[0].password (line 10): is required"},
		"no name":        {"route: {basic_auth: [{username: '', password: env:TOKEN}]}", "route.basic_auth[0].username (line 10): is empty"},
		"colon":          {"route: {basic_auth: [{username: 'a:b', password: env:TOKEN}]}", `route.basic_auth[0].username (line 10): must not have ":" in it: browsers put it between the name and the password`},
		"twice":          {"route: {basic_auth: [{username: a, password: env:TOKEN}, {username: a, password: env:SECRET}]}", "route.basic_auth[1].username (line 10): is the same user name as workloads[0].route.basic_auth[0].username (line 10)"},
		"plain password": {"route: {basic_auth: [{username: a, password: " + secretText + "}]}", "route.basic_auth[0].password (line 10): must be a reference, env:NAME or file:PATH: a secret has no place in this file"},
		"unset password": {"route: {basic_auth: [{username: a, password: env:NONE}]}", `route.basic_auth[0].password (line 10): the environment variable "NONE" is not set`},
		"empty password": {"route: {basic_auth: [{username: a, password: env:EMPTY}]}", "route.basic_auth[0].password (line 10): is empty"},
		"two lines":      {"route: {basic_auth: [{username: a, password: env:TWO_LINES}]}", "route.basic_auth[0].password (line 10): must be one line of text"},
		"long password":  {"route: {basic_auth: [{username: a, password: env:KEY}]}", "route.basic_auth[0].password (line 10): is longer than 72 bytes, and what comes after those would not count: choose a shorter one"},
		"max body":       {"route: {max_body: much}", `route.max_body (line 10): must be a size such as "100MB" or "1GB"; left out, any size is taken`},
		"max body 0":     {"route: {max_body: '0'}", `route.max_body (line 10): must be a size such as "100MB" or "1GB"; left out, any size is taken`},
		"max body below": {"route: {max_body: '-1MB'}", `route.max_body (line 10): must be a size such as "100MB" or "1GB"; left out, any size is taken`},
		"max body vast":  {"route: {max_body: 1e300GB}", `route.max_body (line 10): must be a size such as "100MB" or "1GB"; left out, any size is taken`},
		"max body bare":  {"route: {max_body: 1000}", `route.max_body (line 10): must be a size such as "100MB" or "1GB"; left out, any size is taken`},
		"timeout":        {"route: {timeout: 60 s}", `route.timeout (line 10): must be a duration such as "60s" or "2m"; left out, any time is waited`},
		"timeout below":  {"route: {timeout: -1s}", `route.timeout (line 10): must be a duration such as "60s" or "2m"; left out, any time is waited`},
		"timeout bare":   {"route: {timeout: 60}", `route.timeout (line 10): must be a duration such as "60s" or "2m"; left out, any time is waited`},
	} {
		t.Run(name, func(t *testing.T) {
			want := test.want
			if want != "" && want[0] != '*' {
				want = "workloads[0]." + want
			}
			wantFaults(t, goodWorkload+"    host: www.example.com\n    "+test.route+
				"\n  - {name: api, forge: git, repository: acme/api, source: dockerfile, host: api.example.com}\n", want)
		})
	}
	for _, route := range []string{"route: {redirects: [example.com]}", "route: {hosts: [example.com]}", "route: {timeout: 1s}"} {
		wantFaults(t, goodWorkload+"    "+route+"\n", "workloads[0]."+noHost)
		wantFaults(t, goodWorkload+"    "+route+"\n    host: ''\n", "workloads[0]."+noHost)
	}
}

const benchRoute = benchForges + "workloads:" + benchWeb + `    route:
      hosts: [shop.example.com]
      redirects: [example.com]
      prefixes: [/app]
      basic_auth: [{username: ann, password: file:ann}, {username: bob, password: file:bob}]
      max_body: 10MB
      timeout: 60s
` + benchAPI

// TestApplyRoute: a password is kept as a hash, which stays as long as the password does.
func TestApplyRoute(t *testing.T) {
	b := newApplyBench(t)
	b.write("ann", "correct horse\n")
	b.write("bob", strings.Repeat("x", 72))
	applied := func(manifest, became string) db.Routing {
		t.Helper()
		if out, err := b.apply(manifest, false); err != nil || !strings.Contains(out, "workload web: "+became+"\n") {
			t.Fatalf("%v after\n%s, want web %s", err, out, became)
		}
		return b.workload("web").Routing
	}
	first := applied(benchRoute, created)
	if len(first.BasicAuth) != 2 || first.Timeout != time.Minute || first.MaxBody != 10<<20 || !slices.Equal(b.workloadHosts("web"), []string{"www.example.com", "shop.example.com", "example.com"}) {
		t.Errorf("the route is %+v", first)
	}
	for i, password := range []string{"correct horse", strings.Repeat("x", 72)} {
		if err := bcrypt.CompareHashAndPassword([]byte(first.BasicAuth[i].Hash), []byte(password)); err != nil {
			t.Errorf("user %d: %v", i, err)
		}
	}
	if again := applied(benchRoute, unchanged); !reflect.DeepEqual(again, first) {
		t.Errorf("%+v became %+v", first, again)
	}
	b.write("ann", "battery staple")
	second := applied(benchRoute, changed)
	if second.BasicAuth[0].Hash == first.BasicAuth[0].Hash || second.BasicAuth[1] != first.BasicAuth[1] {
		t.Errorf("%+v became %+v", first.BasicAuth, second.BasicAuth)
	}
	if bcrypt.CompareHashAndPassword([]byte(second.BasicAuth[0].Hash), []byte("battery staple")) != nil {
		t.Error("the new password is not the one that is kept")
	}
	applied(strings.Replace(benchRoute, "timeout: 60s", "timeout: 1m", 1), unchanged)
	if other := applied(strings.Replace(benchRoute, "prefixes: [/app]", "prefixes: [/app, /api]", 1), changed); !slices.Equal(other.BasicAuth, second.BasicAuth) {
		t.Errorf("other prefixes changed the passwords: %+v", other)
	}
	if none := applied(benchAll, changed); !reflect.DeepEqual(none, db.Routing{}) {
		t.Errorf("left: %+v", none)
	}
	b.write("ann", strings.Repeat("x", 73))
	b.refused(benchRoute, false, "workloads[0].route.basic_auth[0].password (line 28): is longer than 72 bytes, and what comes after those would not count: choose a shorter one")
}

func (b *applyBench) workloadHosts(name string) []string {
	w := b.workload(name)
	return w.Hosts()
}

// TestApplyAsksTheRouter: what it cannot do is said at the place that asks for it, and nothing is written.
func TestApplyAsksTheRouter(t *testing.T) {
	b := newApplyBench(t)
	b.write("ann", "correct horse")
	b.write("bob", "battery staple")
	b.check = func(rt db.Route) error {
		switch {
		case rt.RedirectTo != "":
			return errors.New("this router makes no redirects: make them in its own pages")
		case rt.Timeout != 0:
			return errors.New("this router has no time-outs: leave timeout out")
		case rt.Host == "www.example.com" && len(rt.Paths) == 0:
			return errors.New("this router does not know www.example.com: make it there first")
		}
		return nil
	}
	b.refused(benchRoute, false, "workloads[0].route (line 24): this router has no time-outs: leave timeout out",
		"workloads[0].route.redirects[0] (line 26): this router makes no redirects: make them in its own pages")
	b.refused(benchAll, false, "workloads[0].host (line 20): this router does not know www.example.com: make it there first")
	b.untouched()
}

// TestApplyAllHosts: every host of a workload can be handed on, exchanged, and is in the way of others.
func TestApplyAllHosts(t *testing.T) {
	b := newApplyBench(t)
	manifest := func(of map[string][]string) string { // the host, another, a redirect; "-" for none
		text := "forges:" + benchHub + "workloads:\n"
		for _, name := range sortedKeys(of) {
			text += "  - {name: " + name + ", forge: hub, repository: acme/site, source: dockerfile, host: " + of[name][0] + ", route: {"
			for i, key := range []string{"", "hosts", "redirects"} {
				if i > 0 && of[name][i] != "-" {
					text += key + ": [" + of[name][i] + "], "
				}
			}
			text += "}}\n"
		}
		return text
	}
	for _, hosts := range []map[string][]string{
		{"web": {"a", "b", "c"}, "api": {"d", "e", "f"}},
		{"web": {"b", "c", "a"}, "api": {"e", "f", "d"}}, // within each
		{"web": {"e", "f", "d"}, "api": {"b", "c", "a"}}, // all exchanged
		{"web": {"e", "a", "d"}, "api": {"b", "c", "f"}}, // an alias for a redirect
		{"web": {"d", "c", "-"}, "api": {"f", "e", "a"}}, // a ring through all kinds
		{"web": {"x", "-", "-"}, "api": {"d", "c", "a"}}, // handed on
	} {
		if out, err := b.apply(manifest(hosts), false); err != nil {
			t.Fatalf("%v after\n%s", err, out)
		}
		for name, want := range hosts {
			want = slices.DeleteFunc(slices.Clone(want), func(h string) bool { return h == "-" })
			if got := b.workloadHosts(name); !slices.Equal(got, want) {
				t.Errorf("workload %s has %q, want %q", name, got, want)
			}
		}
	}
	for _, host := range []string{"d", "c", "a"} { // of api, which is not in the file
		for i := range 3 {
			of := []string{"x", "-", "-"}
			of[i] = host
			_, err := b.apply(manifest(map[string][]string{"web": of}), false)
			if err == nil || !strings.Contains(err.Error(), "is the host of the workload api, which is not in the file; --prune deletes it") {
				t.Errorf("%q: %v", of, err)
			}
		}
	}
	_, err := b.apply(manifest(map[string][]string{"web": {"x", "-", "deploy.example.com"}, "api": {"d", "c", "a"}}), false)
	if err == nil || !strings.Contains(err.Error(), "workloads[1].route.redirects[0] (line 11): is Tinyforge's own host (--public-url): choose another") {
		t.Errorf("error %v", err)
	}
}

// TestApplyHostTaken: what was free when it was looked is somebody's when it is saved.
func TestApplyHostTaken(t *testing.T) {
	b := newApplyBench(t)
	if _, err := b.apply("forges:"+benchHub+"workloads:\n", false); err != nil {
		t.Fatal(err)
	}
	var row db.Repository
	b.hub.Fault(func(*http.Request) *forgetest.Fault { // it is asked after the plan is made
		if row.ID == 0 {
			forge, err := b.store.ForgeByName(t.Context(), "hub")
			must(b, err)
			row = db.Repository{ForgeID: forge.ID, ExternalID: 4711, FullName: "acme/thief"}
			must(b, b.store.SaveRepository(t.Context(), &row))
			must(b, b.store.SaveWorkload(t.Context(), &db.Workload{Name: "thief", RepositoryID: row.ID, Source: "dockerfile", Host: "example.com"}))
		}
		return nil
	})
	b.refused("forges:"+benchHub+"workloads:"+benchWeb+"    route: {redirects: [example.com]}\n", false,
		"workloads[0].route.redirects[0] (line 18): example.com was given to the workload thief in the meantime: choose another host, or take it away from there first")
	if w := b.workload("thief"); w.Host != "example.com" {
		t.Errorf("the workload is %+v", w)
	}
}
