package deploy_test

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"tinyforge/db"
	"tinyforge/deploy"
)

func TestBelow(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{ // the prefix and what follows it; "" for none
		"/app":                 "/app ",
		"/app/":                "/app /",
		"/app/x/y":             "/app /x/y",
		"/app//x":              "/app //x",
		"/app/v2":              "/app/v2 ",
		"/app/v2/x":            "/app/v2 /x",
		"/app/v22":             "/app /v22",
		"/%61pp/%78":           "/app /%78",
		"/app/a%2Fb":           "/app /a%2Fb",
		"/app/100%25":          "/app /100%25",
		"/app/.well-known/a..": "/app /.well-known/a..",
		"/%D1%8F/x":            "/я /x",

		"":                          "",
		"*":                         "",
		"/":                         "",
		"/application":              "",
		"/App":                      "",
		"//app":                     "",
		"app":                       "",
		"/x/app":                    "",
		"/app%2fx":                  "",
		"/app%2f..":                 "",
		"/app;x/y":                  "",
		"/app/../admin":             "",
		"/app/..":                   "",
		"/app/.":                    "",
		"/app/./x":                  "",
		"/admin/../app":             "",
		"/app/%2e%2e/admin":         "",
		"/app/.%2E/admin":           "",
		"/app/..%2fadmin":           "",
		"/app/%252e%252e/admin":     "",
		"/app/100%25/%252e./admin":  "",
		"/app/%25252e%25252e/admin": "",
		"/app/%2525252525252e./x":   "",
		`/app/..\admin`:             "",
		"/app/..%5cadmin":           "",
		"/app/..;/admin":            "",

		"/app/%25%32%65%25%32%65/admin": "",
		"/app/%2%35%32e%2e/admin":       "",
		"/app/%c0%ae%c0%ae/admin":       "",
		"/app/%e0%80%ae./admin":         "",
		"/app/.%00./admin":              "",
		"/app/..%3ba=b/admin":           "",
	} {
		prefix, rest, ok := deploy.Below([]string{"/app", "/app/v2", "/я"}, path)
		got := ""
		if ok {
			got = prefix + " " + rest
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

func TestCheckRoute(t *testing.T) {
	t.Parallel()
	hash := func(cost int) string {
		text, err := bcrypt.GenerateFromPassword([]byte("p"), cost)
		must(t, err)
		return string(text)
	}
	good := hash(bcrypt.MinCost)
	dear := strings.Replace(good, "$04$", "$15$", 1)
	prefix := func(s ...string) db.RouteOptions { return db.RouteOptions{Paths: s} }
	users := func(u ...db.BasicAuth) db.RouteOptions { return db.RouteOptions{BasicAuth: u} }
	for name, test := range map[string]struct {
		options db.RouteOptions
		want    string // "" for nothing wrong
	}{
		"none":            {db.RouteOptions{}, ""},
		"all":             {db.RouteOptions{Paths: []string{"/app", "/a.b/c"}, StripPrefix: true, BasicAuth: []db.BasicAuth{{Username: "ann", Hash: good}}, MaxBody: 1, Timeout: time.Second}, ""},
		"relative":        {prefix("app"), `the path prefix "app" must begin with "/"`},
		"root":            {prefix("/app", "/"), `the path prefix "/" is all paths`},
		"empty":           {prefix(""), `the path prefix "" must begin with "/"`},
		"empty segment":   {prefix("/a//b"), `must not have "//", "." or ".." in it`},
		"climbing":        {prefix("/a/../b"), `must not have "//", "." or ".." in it`},
		"final slash":     {prefix("/a/"), `must not end with "/": "/a" stands for itself and all below it`},
		"star":            {prefix("/a/*"), "must be a plain path"},
		"encoded":         {prefix("/%61"), "must be a plain path"},
		"space":           {prefix("/a b"), "must be a plain path"},
		"nothing to take": {db.RouteOptions{StripPrefix: true}, "there is no path prefix that could be taken off"},
		"body":            {db.RouteOptions{MaxBody: -1}, "the largest body must not be below 0"},
		"time-out":        {db.RouteOptions{Timeout: -1}, "the time-out must not be below 0"},
		"nobody":          {users(db.BasicAuth{Hash: good}), `the user name "" is empty`},
		"colon":           {users(db.BasicAuth{Username: "a:b", Hash: good}), `the user name "a:b" must not have ":"`},
		"lines":           {users(db.BasicAuth{Username: "a\nb", Hash: good}), "must be one line of text"},
		"twice":           {users(db.BasicAuth{Username: "a", Hash: good}, db.BasicAuth{Username: "a", Hash: good}), `the user name "a" is given twice`},
		"no hash":         {users(db.BasicAuth{Username: "a", Hash: "hunter2"}), `the password of "a" is not kept as a bcrypt hash`},
		"dear hash":       {users(db.BasicAuth{Username: "a", Hash: dear}), `the password of "a" is not kept as a bcrypt hash of a cost of at most 14`},
	} {
		t.Run(name, func(t *testing.T) {
			err := deploy.CheckRoute(db.Route{Host: "a.test", RouteOptions: test.options})
			switch {
			case (err == nil) != (test.want == ""), err != nil && !strings.Contains(err.Error(), test.want):
				t.Errorf("got %v, want %q", err, test.want)
			case err != nil && strings.Contains(err.Error(), "hunter2"):
				t.Errorf("the error holds a password: %v", err)
			}
		})
	}
	if err := deploy.CheckRoute(db.Route{Host: "a.test", RedirectTo: "A.test"}); err == nil || !strings.Contains(err.Error(), "redirected to itself") {
		t.Errorf("a redirect to itself: %v", err)
	}
	if err := deploy.CheckRoute(db.Route{Host: "a.test", RedirectTo: "b.test"}); err != nil {
		t.Errorf("a redirect: %v", err)
	}
}
