package site

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// FuzzRules: whatever the two files say, they are refused or make a site whose answers nobody can split or lead astray.
func FuzzRules(f *testing.F) {
	f.Add("/a/* /b/:splat 302!\n/c https://example.com/:x\n/:x/y /z 200", "/*\n  X-A: b\n  ! X-B\n", "/a/../b", "q=1")
	f.Fuzz(func(t *testing.T, redirects, headers, path, query string) {
		if _, err := url.ParseRequestURI("/?" + query); err != nil {
			return // neither does Go's server take it
		}
		list, all := ReadRedirects([]byte(redirects))
		rules, more := ReadHeaders([]byte(headers))
		if len(all)+len(more) > 0 {
			return
		}
		s, err := New(Config{Redirects: list, Headers: rules, Files: filesOf("index.html", "a.html", "b/index.html")})
		if err != nil {
			return
		}
		a := s.Answer("/"+path, query)
		if _, there := s.files[a.File]; a.File != "" && !there {
			t.Errorf("it serves %q, which is not there", a.File)
		}
		if a.Status < 200 || a.Status > 499 || strings.ContainsFunc(a.Location, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			t.Errorf("status %d, location %q", a.Status, a.Location)
		}
		if strings.HasPrefix(a.Location, "//") || strings.HasPrefix(a.Location, `/\`) {
			t.Errorf("it leads to another host: %q", a.Location)
		}
		h := http.Header{}
		s.SetHeader(h, "/"+path)
		for name, values := range h {
			if strings.ContainsAny(name+strings.Join(values, ""), "\r\n\x00") {
				t.Errorf("field %q: %q", name, values)
			}
		}
	})
}
