package site

import (
	"fmt"
	"strings"
	"testing"
)

// faultsOf are those of reading and of checking the two files.
func faultsOf(redirects, headers string, files ...string) string {
	list, all := ReadRedirects([]byte(redirects))
	rules, more := ReadHeaders([]byte(headers))
	if all = append(all, more...); len(all) > 0 {
		return all.Error()
	}
	_, err := New(Config{Redirects: list, Headers: rules, Files: filesOf(append(files, "index.html")...)})
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestFaultsOfRedirectsNameTheLine(t *testing.T) {
	for line, want := range map[string]string{
		"/a":                           "does not say where the path leads",
		"/a # /b":                      "does not say where the path leads",
		"/a id=:id /b":                 `has a condition about the query, "id=:id", which is not supported`,
		"/a /b 302 Country=de":         `has the condition "Country=de": conditions about language, country, role or cookie are not supported`,
		"/a /b Language=de":            `has the condition "Language=de"`,
		"/a /b Role=admin 302":         `has the condition "Role=admin"`,
		"/a /b 302 now":                `has "now" where it should end`,
		"/a /b moved":                  `has "moved" where it should end`,
		"/a /b 418":                    `"418" is not a status of a rule: use 301, 302, 303, 307 or 308 to redirect`,
		"/a /b 0":                      `is not a status of a rule`,
		"/a /b 201!":                   `"201" is not a status of a rule`,
		"a /b":                         `"a" must be a path that begins with "/"`,
		"https://old.example.com/ /b":  `begins with a domain, which is not supported`,
		"/a/*/b /c":                    `"/a/*/b" may have "*" only once, as its last segment`,
		"/a* /c":                       `may have "*" only once, as its last segment`,
		"/:a/:a /c":                    "has the placeholder :a twice",
		"/:splat/* /c":                 "has the placeholder :splat twice",
		"/:a.html /c":                  `has a placeholder that is not a whole segment: write "/:a/"`,
		"/%zz /c":                      `has a "%" that is not followed by two hexadecimal digits`,
		"/a?b=c /c":                    "must be a path alone, without a query",
		"/a/:id /b/:ID":                "uses :ID, which its path does not have: it has :id",
		"/a /b/:splat":                 "uses :splat, which its path does not have: it has no placeholders",
		"/a b/c":                       `"b/c" must be a path that begins with "/", or a whole URL`,
		"/a //evil.example.com":        `must be a path that begins with "/", or a whole URL`,
		"/a javascript://x/%0aalert":   "must begin with https:// or http://",
		"/a https://u:p@example.com/":  "must begin with https:// or http://, and hold no password",
		"/a https://x.example.com 200": "must be a path of this site for status 200: other sites are not fetched",
		"/a /index.html?x=1 200":       "must be a path of this site for status 200",
		"/a /none.html 200":            `"/none.html" is not a file of the site`,
		"/a /none.html 404":            `"/none.html" is not a file of the site`,
		"/" + strings.Repeat("a", maxPattern) + " /b": "must be at most 1024 bytes long",
		"/" + strings.Repeat("a", maxLine) + " /b":    "is longer than 2000 bytes",
		"/a /" + strings.Repeat("b", maxPattern):      "must be at most 1024 bytes long",
	} {
		got := faultsOf("# first\n"+line+"\n", "")
		if !strings.HasPrefix(got, "_redirects, line 2: ") || !strings.Contains(got, want) {
			t.Errorf("%.60s: got %.300q, want %q", line, got, want)
		}
	}
}

func TestFaultsOfHeadersNameTheLine(t *testing.T) {
	for lines, want := range map[string]string{
		"  X-A: b":                         "line 1: has a header field before the first path",
		"/a\nX-A: b":                       `line 2: "X-A: b" is no path: begin paths with "/", and indent header fields below them`,
		"/a\n  X-A":                        `line 2: "X-A" is no header field: write "Name: value"`,
		"/a\n  X-A:":                       `line 2: "X-A:" is no header field`,
		"/a\n\n/b\n  X-A: b":               "line 1: has no header fields: write them below it, indented",
		"/a/*/b\n  X-A: b":                 `line 1: "/a/*/b" may have "*" only once`,
		"https://x.example.com/\n  X-A: b": "line 1: \"https://x.example.com/\" begins with a domain, which is not supported",
		"/a\n  X A: b":                     `line 2: "X A" is not the name of a header field`,
		"/a\n  Content-Length: 3":          `line 2: "Content-Length" cannot be set: the server decides about it`,
		"/a\n  etag: x":                    `line 2: "etag" cannot be set`,
		"/a\n  Basic-Auth: me:secret":      `line 2: "Basic-Auth" is not supported`,
		"/a\n  X-A: a\x07b":                `line 2: "X-A" has a value that is longer than 2000 bytes or holds a control character`,
		"/a/*\n  Link: </:splat>":          `line 2: "Link" has ":splat" in its value, which is not supported`,
		"/a\n  ! X A":                      `line 2: "X A" is not the name of a header field`,
	} {
		if got := faultsOf("", lines); !strings.HasPrefix(got, "_headers, "+want) {
			t.Errorf("%q: got %.300q, want %q", lines, got, want)
		}
	}
}

func TestLimitsOfRules(t *testing.T) {
	var redirects, headers, fields strings.Builder
	for i := range maxRedirects + 1 {
		fmt.Fprintf(&redirects, "/a%d /b\n", i)
	}
	for i := range maxHeaderRules + 1 {
		fmt.Fprintf(&headers, "/a%d\n  X-A: b\n", i)
	}
	for i := range maxHeaderFields + 1 {
		fmt.Fprintf(&fields, "  X-%d: b\n", i)
	}
	for got, want := range map[string]string{
		faultsOf(redirects.String(), ""):                "redirects: are 1001 rules, in the config and in _redirects together: 1000 are allowed",
		faultsOf("", headers.String()):                  "headers: are for 501 paths",
		faultsOf("", "/\n"+fields.String()):             "_headers, line 1: has 101 header fields: 100 are allowed",
		faultsOf(strings.Repeat("#", maxRules+1), ""):   "_redirects: is larger than 1024 KiB",
		faultsOf("/a /b\xff", ""):                       "_redirects: is not a text in UTF-8",
		faultsOf("", "/a\n  X: \x00"):                   "_headers: is not a text in UTF-8",
		faultsOf(strings.Repeat("nonsense\n", 100), ""): "_redirects, line 1: does not say",
	} {
		if !strings.HasPrefix(got, want) || strings.Count(got, "\n") > 20 {
			t.Errorf("got %.300q, want %q", got, want)
		}
	}
}

func TestLoopsAreNamed(t *testing.T) {
	for rules, want := range map[string]string{
		"/a /b\n/b /a":                             "_redirects, line 1: \"/a\" never arrives: /a -> /b -> /a",
		"/a /a":                                    "never arrives: /a -> /a",
		"/x /a\n/a/ /b\n/b /c 302\n/c /a":          "_redirects, line 1: \"/x\" never arrives: /x -> /a -> /b -> /c -> /a",
		"/a/* /a/b/:splat":                         "never arrives: /a/any -> /a/b/any -> /a/b/b/any -> /a/b/b/b/any -> and so on, beyond the 20 redirects",
		"/a/:x/* /a/:splat/:x":                     "never arrives: /a/x1/any -> /a/any/x1 -> /a/x1/any",
		"/* /new/:splat":                           "never arrives: /any -> /new/any -> /new/new/any",
		"/docs/ /docs 301!":                        "never arrives: /docs -> /docs",
		"/index.html / 301!\n/ /index.html 301!":   "never arrives: /index.html -> / -> /index.html",
		"/one /two\n/two /three\n/three /one 303!": "never arrives: /one -> /two -> /three -> /one",
	} {
		if got := faultsOf(rules, "", "docs/index.html"); !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", rules, got, want)
		}
	}
}

func TestWhatIsNoLoop(t *testing.T) {
	for _, rules := range []string{
		"/a /b\n/b /c\n/c /d",
		"/a /index.html\n/* /a",                 // files win
		"/* /index.html 200",                    // answers
		"/a /docs\n/docs /a",                    // docs is there
		"/x/y/* /x/:splat",                      // shorter each time
		"/* https://new.example.com/:splat 301", // elsewhere
		"/a https://example.com/a",
		"/p/:a/:b /p/:a",
	} {
		if got := faultsOf(rules, "", "docs/index.html"); got != "" {
			t.Errorf("%q: got %q", rules, got)
		}
	}
}

func TestPagesThatAreNotThere(t *testing.T) {
	for _, tt := range []struct {
		config Config
		want   string
	}{
		{Config{SPA: true, Files: filesOf("a.html")}, "spa: the site has no index.html"},
		{Config{NotFound: "none.html", Files: filesOf("a.html")}, `not_found: the site has no file "none.html"`},
		{Config{Redirects: []Redirect{{From: "/a", To: "/b", Status: 5}}}, `redirects[0].status: is not a status`},
		{Config{Redirects: []Redirect{{From: "b", To: "/b"}}}, `redirects[0].from: must be a path`},
		{Config{Redirects: []Redirect{{From: "/b", To: "b"}}}, `redirects[0].to: must be a path`},
	} {
		if _, err := New(tt.config); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}
