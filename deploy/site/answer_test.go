package site

import (
	"net/http"
	"strings"
	"testing"
)

// filesOf is a list of files with tags.
func filesOf(names ...string) map[string]string {
	files := map[string]string{}
	for _, name := range names {
		files[name] = "tag"
	}
	return files
}

// read makes a site of files and of what its two files with rules say.
func read(t *testing.T, redirects, headers string, c Config) *Site {
	t.Helper()
	list, wrong := ReadRedirects([]byte(redirects))
	rules, more := ReadHeaders([]byte(headers))
	if wrong = append(wrong, more...); len(wrong) > 0 {
		t.Fatal(wrong)
	}
	c.Redirects, c.Headers = append(c.Redirects, list...), append(rules, c.Headers...)
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnswer(t *testing.T) {
	files := filesOf("index.html", "about.html", "docs/index.html", "docs/a.html", "app.js", ".well-known/security.txt", "404.html", "gone.html", "old.html", "new/old.html")
	s := read(t, `
# comments, and a line that says nothing

/home              /                        # 301 when nothing is said
/old               /new 302
/forced            /docs/ 302!
/app.js            /never 302
/about             /forced-away 302!
/blog/:year/:slug  /posts/:slug?year=:year  308
/wiki/*            https://wiki.example.com/:splat 307
/any/*             /:splat 303
/gone/*            /gone.html 404
/shown/:name       /docs/:name 200
/missing/:name     /none/:name 200
/caf%C3%A9         /about.html 301
/time/12:30        /new 301
/*                 /docs/index.html 200
`, "", Config{Files: files})
	tests := []struct {
		path, query string
		want        Answer
	}{
		{"/", "", Answer{Status: 200, File: "index.html"}},
		{"/index.html", "", Answer{Status: 200, File: "index.html"}},
		{"/docs/a.html", "", Answer{Status: 200, File: "docs/a.html"}},
		{"/docs/a", "", Answer{Status: 200, File: "docs/a.html"}},
		{"/docs/a/", "", Answer{Status: 308, Location: "/docs/a"}},
		{"/docs/", "", Answer{Status: 200, File: "docs/index.html"}},
		{"/docs", "x=1&y", Answer{Status: 308, Location: "/docs/?x=1&y"}},
		{"//docs//", "", Answer{Status: 200, File: "docs/index.html"}},
		{"/docs/../app.js", "", Answer{Status: 200, File: "app.js"}},
		{"/home", "", Answer{Status: 301, Location: "/"}},
		{"/home/", "q=1", Answer{Status: 301, Location: "/?q=1"}},
		{"/old", "", Answer{Status: 200, File: "old.html"}}, // a file wins
		{"/app.js", "", Answer{Status: 200, File: "app.js"}},
		{"/about", "", Answer{Status: 302, Location: "/forced-away"}},
		{"/forced", "", Answer{Status: 302, Location: "/docs/"}},
		{"/blog/2024/a b&c", "", Answer{Status: 308, Location: "/posts/a%20b&c?year=2024"}},
		{"/blog/a&b=c/x", "lost=1", Answer{Status: 308, Location: "/posts/x?year=a%26b%3Dc"}},
		{"/wiki/a/b/", "q=1", Answer{Status: 307, Location: "https://wiki.example.com/a/b/?q=1"}},
		{"/wiki", "", Answer{Status: 307, Location: "https://wiki.example.com/"}},
		{"/any//evil.example.com/x", "", Answer{Status: 303, Location: "/evil.example.com/x"}},
		{`/any/\evil.example.com`, "", Answer{Status: 303, Location: "/%5Cevil.example.com"}},
		{"/any/a\r\nb", "", Answer{Status: 303, Location: "/a%0D%0Ab"}},
		{"/gone/for/ever", "", Answer{Status: 404, File: "gone.html"}},
		{"/shown/a", "", Answer{Status: 200, File: "docs/a.html"}},
		{"/shown/b", "", Answer{Status: 404, File: "404.html"}},
		{"/missing/b", "", Answer{Status: 404, File: "404.html"}},
		{"/café", "", Answer{Status: 301, Location: "/about.html"}},
		{"/time/12:30", "", Answer{Status: 301, Location: "/new"}},
		{"/anything/else", "", Answer{Status: 200, File: "docs/index.html"}},
		{"/.well-known/security.txt", "", Answer{Status: 200, File: ".well-known/security.txt"}},
	}
	for _, tt := range tests {
		if got := s.Answer(tt.path, tt.query); got != tt.want {
			t.Errorf("%s?%s: got %+v, want %+v", tt.path, tt.query, got, tt.want)
		}
	}
}

func TestAnswerWithoutRules(t *testing.T) {
	plain := read(t, "", "", Config{Files: filesOf("index.html", ".env", ".git/config", "a/.hidden/x.txt")})
	spa := read(t, "", "", Config{SPA: true, Files: filesOf("index.html", "404.html", ".env")})
	page := read(t, "", "", Config{NotFound: "errors/none.html", Files: filesOf("index.html", "404.html", "errors/none.html")})
	tests := []struct {
		site *Site
		path string
		want Answer
	}{
		{plain, "/none", Answer{Status: 404}},
		{plain, "/.env", Answer{Status: 404}},
		{plain, "/.git/config", Answer{Status: 404}},
		{plain, "/a/.hidden/x.txt", Answer{Status: 404}},
		{plain, "/a/../.env", Answer{Status: 404}},
		{spa, "/users/john.doe", Answer{Status: 200, File: "index.html"}},
		{spa, "/", Answer{Status: 200, File: "index.html"}},
		{spa, "/.env", Answer{Status: 404, File: "404.html"}},
		{page, "/none", Answer{Status: 404, File: "errors/none.html"}},
	}
	for _, tt := range tests {
		if got := tt.site.Answer(tt.path, ""); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.path, got, tt.want)
		}
	}
}

func TestRulesOfTheConfigComeFirst(t *testing.T) {
	s := read(t, "/a /file", "/*\n  X-Frame-Options: DENY\n  X-More: 1\n", Config{
		Files:     filesOf("index.html"),
		Redirects: []Redirect{{From: "/a", To: "/config"}},
		Headers:   []HeaderRule{{For: "/*", Fields: []Header{{Name: "x-frame-options", Value: "SAMEORIGIN", Set: true}, {Name: "X-More", Set: true}}}},
	})
	if got := s.Answer("/a", "").Location; got != "/config" {
		t.Errorf("/a leads to %q", got)
	}
	h := http.Header{}
	s.SetHeader(h, "/")
	if len(h) != 1 || h.Get("X-Frame-Options") != "SAMEORIGIN" {
		t.Errorf("got %v", h)
	}
}

func TestHeaders(t *testing.T) {
	s := read(t, "", `
/*
  X-Content-Type-Options: nosniff
  Cache-Control: no-cache
  Link: </a.css>; rel=preload
/assets/*
  ! Cache-Control
  Cache-Control: public, max-age=31536000
	Link: </b.css>; rel=preload
/user/:name
  X-Robots-Tag: noindex
`, Config{Files: filesOf("index.html")})
	for path, want := range map[string]string{
		"/":            "no-cache|</a.css>; rel=preload|",
		"/assets/x.js": "public, max-age=31536000|</a.css>; rel=preload,</b.css>; rel=preload|",
		"/assets":      "public, max-age=31536000|</a.css>; rel=preload,</b.css>; rel=preload|",
		"/user/a":      "no-cache|</a.css>; rel=preload|noindex",
		"/user/a/b":    "no-cache|</a.css>; rel=preload|",
	} {
		h := http.Header{}
		s.SetHeader(h, path)
		got := strings.Join([]string{strings.Join(h["Cache-Control"], ","), strings.Join(h["Link"], ","), h.Get("X-Robots-Tag")}, "|")
		if got != want || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: got %s\nwant %s", path, got, want)
		}
	}
}
