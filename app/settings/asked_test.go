package settings_test

import (
	"net/http"
	"net/url"
	"testing"

	"tinyforge/app/forgetest"
)

// signInForge is realForge where people sign in by it.
func (w *world) signInForge(b *browser) *forgetest.Server {
	w.t.Helper()
	forge := w.realForge(forgetest.Gitea)
	id, secret := forge.OAuthApp()
	b.post("/settings/sign-in/1", "client_id", id, "client_secret", secret).leads(w.t, "/settings/users")
	return forge
}

// TestNobodyPlantsWhoWasAsked: over HTTPS it is read from the cookie alone that other hosts cannot set.
func TestNobodyPlantsWhoWasAsked(t *testing.T) {
	w := newWorld(t)
	w.signInForge(w.ownerAt("https://deploy.example.com"))
	b := w.browser()
	p := b.do(http.MethodGet, "/sign-in/with/1", nil, "X-Forwarded-Proto", "https")
	c := p.Cookies()
	if len(c) != 1 || c[0].Name != "__Host-asked" || c[0].Path != "/" || !c[0].Secure || !c[0].HttpOnly || c[0].Domain != "" {
		t.Fatalf("cookies %v", p.Header["Set-Cookie"])
	}
	to, err := url.Parse(p.Header.Get("Location"))
	must(t, err)
	back := "/sign-in/callback?code=x&state=" + to.Query().Get("state")
	for name, want := range map[string]int{"asked": http.StatusForbidden, "__Host-asked": http.StatusBadGateway} {
		w.browser().do(http.MethodGet, back, nil, "X-Forwarded-Proto", "https", "Cookie", name+"="+c[0].Value).is(t, want)
	}
}

// TestCodesOfForgesAreTries: wrong ones are counted, and no more are asked of the forge.
func TestCodesOfForgesAreTries(t *testing.T) {
	w := newWorld(t)
	b := w.ownerAt("https://deploy.example.com")
	forge := w.signInForge(b)
	b.post("/settings/users", "username", "octo", "role", "viewer", "account_forge", "hub", "account_login", "octo-cat").leads(t, "/settings/users/2")
	forge.Visitor("octo-cat")
	late := w.browser()
	back := late.follow("/").RequestURI()
	other := w.browser()
	for range 10 {
		code := other.follow("/")
		q := code.Query()
		q.Set("code", "wrong")
		other.get(code.Path+"?"+q.Encode()).is(t, http.StatusBadGateway)
	}
	for _, p := range []page{late.get(back), other.get("/sign-in/with/1")} {
		if p.is(t, http.StatusTooManyRequests); p.Header.Get("Retry-After") == "" {
			t.Errorf("%s does not say when to come again", p.Request.URL.Path)
		}
	}
	late.do(http.MethodGet, back, nil, "X-Forwarded-For", "203.0.113.7").is(t, http.StatusForbidden) // it was used up
}

// TestSignInsByAForgeAreNoTries: somebody who signs in often is not kept out.
func TestSignInsByAForgeAreNoTries(t *testing.T) {
	w := newWorld(t)
	b := w.ownerAt("https://deploy.example.com")
	forge := w.signInForge(b)
	b.post("/settings/users", "username", "octo", "role", "viewer", "account_forge", "hub", "account_login", "octo-cat").leads(t, "/settings/users/2")
	forge.Visitor("octo-cat")
	for range 11 {
		b.get(b.follow("/").RequestURI()).leads(t, "/")
	}
}
