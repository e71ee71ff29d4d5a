package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tinyforge/app/forgetest"
	"tinyforge/db"
)

// TestStaticSite: pushed files are served as people expect of a web server, a redeploy fails no request, and a site that
// cannot be built changes nothing.
func TestStaticSite(t *testing.T) {
	t.Parallel()
	s, forge, web := newSiteService(t), newForge(t, forgetest.Options{Kind: forgetest.Gitea}), unique("web")
	c := newClone(t, forge, "acme/site")
	const config = "{root: public, headers: {'/*': {X-Frame-Options: DENY}}, redirects: [{from: '/docs/*', to: 'https://docs.example.com/:splat', status: 302}]"
	s.apply(forge, manifestOf(web, "static", config+"}"))
	c.symlink("../secret.txt", "public/secret.txt")
	first := c.pushAll(map[string]string{
		"public/index.html": "one", "public/404.html": "lost", "public/guide/index.html": "guide", "public/app.js": "plain", "public/app.js.br": "packed",
		"public/.env": "SECRET=1", "public/.git-credentials": "SECRET", "secret.txt": "SECRET",
		"public/_redirects": "/old /guide/ 301\n/app/* /index.html 200\n", "public/_headers": "/app.js\n  Cache-Control: max-age=60\n",
	})
	c.ends(first, "success", "Live in ")
	s.serves(web, "one")
	s.showsStaticSite(web)
	s.confined(web)
	tag := s.visit(web, "/app.js").header.Get("Etag")

	visitors := startLoad(t, s.site, web+".test", readers()...)
	c.ends(c.pushAll(map[string]string{"public/index.html": "two"}), "success", "Live in ")
	s.serves(web, "two")
	if got := s.deployments(web)[0]; got.Strategy != db.Recreate {
		t.Errorf("by default it is %s", got.Strategy)
	}
	s.apply(forge, manifestOf(web, "static", config+", deploy_strategy: blue-green}"))
	c.ends(c.pushAll(map[string]string{"public/index.html": "three"}), "success", "Live in ")
	s.serves(web, "three")
	visitors.stop()
	if got := s.deployments(web)[0]; got.Strategy != db.BlueGreen || got.StrategyReason != "" {
		t.Errorf("it asked for blue-green and is %s, %s", got.Strategy, got.StrategyReason)
	}
	for _, d := range s.deployments(web) {
		t.Logf("deployment %d, %s, took %s", d.ID, d.Strategy, d.FinishedAt.Sub(d.StartedAt))
	}
	if got := s.visit(web, "/app.js").header.Get("Etag"); got != tag || tag == "" {
		t.Errorf("the tag of what is the same changed from %s to %s", tag, got)
	}
	if log := s.deploymentLog(web); strings.Contains(log, "file server's image") || strings.Contains(log, "SECRET") {
		t.Errorf("the file server's image is made for each site, or a secret is told:\n%s", log)
	}

	broken := c.pushAll(map[string]string{"public/index.html": "four", "public/_redirects": "/a /b\n/b /a\n"})
	c.ends(broken, "failure", `_redirects, line 1: "/a" never arrives: /a -> /b -> /a`, "the previous release still serves")
	s.serves(web, "three")
}

// showsStaticSite looks at what is served as a browser would.
func (s *service) showsStaticSite(web string) {
	s.Helper()
	for _, tt := range []struct {
		path   string
		fields []string
		status int
		body   string
		header map[string]string
	}{
		{"/", nil, 200, "one", map[string]string{"Content-Type": "text/html; charset=utf-8", "X-Frame-Options": "DENY"}},
		{"/guide", nil, 308, "", map[string]string{"Location": "/guide/"}},
		{"/old?x=1", nil, 301, "", map[string]string{"Location": "/guide/?x=1"}},
		{"/docs/a/b", nil, 302, "", map[string]string{"Location": "https://docs.example.com/a/b"}},
		{"/app/any/route", nil, 200, "one", nil},
		{"/app.js", []string{"Range", "bytes=1-3"}, 206, "lai", map[string]string{"Content-Range": "bytes 1-3/5"}},
		{"/app.js", []string{"Accept-Encoding", "br"}, 200, "packed", map[string]string{"Content-Encoding": "br", "Cache-Control": "max-age=60"}},
		{"/app.js", []string{"If-None-Match", s.visit(web, "/app.js").header.Get("Etag")}, 304, "", nil},
		{"/nothing", nil, 404, "lost", map[string]string{"Content-Type": "text/html; charset=utf-8", "X-Frame-Options": "DENY"}},
		{"/.env", nil, 404, "lost", nil},
		{"/.git-credentials", nil, 404, "lost", nil},
		{"/secret.txt", nil, 404, "lost", nil},
		{"/_redirects", nil, 404, "lost", nil},
		{"/%2e%2e/site.json", nil, 404, "lost", nil},
	} {
		got := s.visit(web, tt.path, tt.fields...)
		if got.status != tt.status || got.body != tt.body {
			s.Errorf("%s %q: %d %q, want %d %q", tt.path, tt.fields, got.status, got.body, tt.status, tt.body)
		}
		for name, want := range tt.header {
			if got.header.Get(name) != want {
				s.Errorf("%s %q: %s is %q, want %q", tt.path, tt.fields, name, got.header.Get(name), want)
			}
		}
	}
}

func (c *clone) symlink(target, name string) {
	c.Helper()
	at := filepath.Join(c.tree.Dir, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		c.Fatal(err)
	}
	if err := os.Symlink(target, at); err != nil {
		c.Fatal(err)
	}
}
