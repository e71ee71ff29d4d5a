package settings_test

import (
	"net/http"
	"strings"
	"testing"

	"tinyforge/db"
)

func TestFirstSignIn(t *testing.T) {
	w := newWorld(t)
	token, err := w.db.NewSignInLink(t.Context(), 0)
	must(t, err)
	b := w.browser()
	b.get("/setup?token=wrong").is(t, http.StatusGone, "not valid any more")
	for range 2 { // looking does not use it up
		b.get("/setup?token="+token).is(t, http.StatusOK, "Choose a password")
	}
	b.post("/setup", "token", token, "username", "ann", "password", "short", "language", "en").
		is(t, http.StatusUnprocessableEntity, "Use at least 12 characters", `value="ann"`, "<title>Error: ")
	b.post("/setup", "token", token, "username", "ann", "password", "passwordpassword", "language", "en").
		is(t, http.StatusUnprocessableEntity, "leaked")
	b.post("/setup", "token", token, "username", "ann", "password", password, "language", "en", "base_url", "https://deploy.example.com").leads(t, "/start")
	b.get("/workloads").is(t, http.StatusOK, "Workloads")
	b.post("/setup", "token", token, "username", "eve", "password", password, "language", "en").is(t, http.StatusGone)
	second, err := w.db.NewSignInLink(t.Context(), 0)
	must(t, err)
	b.get("/setup?token="+second).is(t, http.StatusGone) // there is an administrator
	if users, err := w.db.Users(t.Context()); err != nil || len(users) != 1 || users[0].Role != db.Administrator || strings.Contains(users[0].Password, password) {
		t.Errorf("users %+v (%v)", users, err)
	}
}

func TestSignIn(t *testing.T) {
	w := newWorld(t)
	w.owner()
	b := w.browser()
	b.get("/workloads?q=a").leads(t, "/sign-in?next=%2Fworkloads%3Fq%3Da")
	for _, c := range []struct{ name, password string }{{"ann", "wrong"}, {"nobody", password}, {"", ""}} {
		b.post("/sign-in", "username", c.name, "password", c.password).is(t, http.StatusUnprocessableEntity, "Name or password is not right")
	}
	b.post("/sign-in", "username", "ann", "password", password, "next", "/workloads?q=a").leads(t, "/workloads?q=a")
	other := w.browser()
	for next, want := range map[string]string{"//evil.example.com": "/workloads", "https://evil.example.com": "/workloads", `/\evil.example.com`: "/workloads", "/forges": "/forges"} {
		other.post("/sign-in", "username", "ann", "password", password, "next", next).leads(t, want)
	}
	b.post("/sign-out").leads(t, "/sign-in")
	b.get("/sign-in").is(t, http.StatusOK, "You are signed out.")
	b.get("/workloads").leads(t, "/sign-in?next=%2Fworkloads")
	other.get("/workloads").is(t, http.StatusOK)
}

func TestSignInIsLimited(t *testing.T) {
	w := newWorld(t)
	w.owner()
	b := w.browser()
	for range 10 {
		b.post("/sign-in", "username", "ann", "password", "wrong").is(t, http.StatusUnprocessableEntity)
	}
	p := b.post("/sign-in", "username", "ann", "password", password)
	p.is(t, http.StatusTooManyRequests, "Too many attempts")
	if p.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	// Whoever comes from elsewhere is not kept out.
	b.do(http.MethodPost, "/sign-in", map[string][]string{"username": {"ann"}, "password": {password}}, "X-Forwarded-For", "10.9.9.9, 203.0.113.7").leads(t, "/workloads")
}

func TestWritesFromOtherSitesAreRefused(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	p := b.do(http.MethodPost, "/sign-out", map[string][]string{}, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example.com")
	p.is(t, http.StatusForbidden, "https://evil.example.com")
	b.get("/workloads").is(t, http.StatusOK)
}

func TestHeaders(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	for _, path := range []string{"/workloads", "/nowhere"} {
		h := b.get(path).Header
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store", "Content-Language": "en"} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
	}
	for _, c := range b.client.Jar.Cookies(b.get("/workloads").Request.URL) {
		if c.Name == "session" && len(c.Value) < 40 {
			t.Errorf("session %q", c.Value)
		}
	}
}

func TestLanguage(t *testing.T) {
	w := newWorld(t)
	w.owner()
	b := w.browser()
	b.lang = "fr, ru;q=0.5, en;q=0.1"
	b.get("/sign-in").is(t, http.StatusOK, `<html lang="ru">`, "Войти")
	b.post("/language", "language", "en", "back", "/sign-in").leads(t, "/sign-in")
	b.get("/sign-in").is(t, http.StatusOK, `<html lang="en">`)
	b.post("/language", "language", "xx").is(t, http.StatusBadRequest)
	b.post("/language", "language", "ru", "back", "//evil.example.com").leads(t, "/")
}

// TestAnotherMethod: an address that takes forms says so to those who open it.
func TestAnotherMethod(t *testing.T) {
	b := newWorld(t).owner()
	for _, path := range []string{"/workloads/shop/deploy", "/sign-out", "/webhooks/git"} {
		p := b.get(path)
		p.is(t, http.StatusMethodNotAllowed, "go to the page with the form")
		if allow := p.Header.Get("Allow"); allow != http.MethodPost {
			t.Errorf("%s allows %q", path, allow)
		}
	}
	p := b.post("/about")
	p.is(t, http.StatusMethodNotAllowed)
	if allow := p.Header.Get("Allow"); allow != http.MethodGet {
		t.Errorf("about allows %q", allow)
	}
	b.get("/nowhere").is(t, http.StatusNotFound)
	b.post("/nowhere").is(t, http.StatusNotFound)
}
