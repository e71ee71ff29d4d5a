package settings_test

import (
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"tinyforge/app/forgetest"
	"tinyforge/db"
)

// realForge starts a forge whose row is saved, as somebody does who connects it.
func (w *world) realForge(kind forgetest.Kind) *forgetest.Server {
	w.t.Helper()
	forge, err := forgetest.Start(forgetest.Options{Kind: kind})
	must(w.t, err)
	w.t.Cleanup(func() { _ = forge.Close() })
	row := forge.Row("hub")
	row.ID = 0
	must(w.t, w.db.SaveForge(w.t.Context(), &row))
	return forge
}

// follow presses the button of a forge, and answers there; it returns where the forge sends the browser.
func (b *browser) follow(next string) *url.URL {
	b.t.Helper()
	p := b.get("/sign-in/with/1?next=" + url.QueryEscape(next))
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, p.Header.Get("Location"), nil)
	must(b.t, err)
	res, err := http.DefaultTransport.RoundTrip(req)
	must(b.t, err)
	must(b.t, res.Body.Close())
	back, err := url.Parse(res.Header.Get("Location"))
	must(b.t, err)
	if !strings.HasPrefix(back.String(), "https://deploy.example.com/sign-in/callback?") {
		b.t.Fatalf("the forge leads to %q after %s", back, p.Header.Get("Location"))
	}
	return back
}

// meanwhile is the body of a form during which something else is done.
type meanwhile struct {
	io.Reader
	do func()
}

func (m *meanwhile) Read(p []byte) (int, error) {
	if m.do != nil {
		m.do()
		m.do = nil
	}
	return m.Reader.Read(p)
}

// TestSignInSettingsUndoNothing: what was changed of the forge meanwhile stays, and one that was deleted stays away.
func TestSignInSettingsUndoNothing(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	w.realForge(forgetest.Gitea)
	save := func(do func()) *httptest.ResponseRecorder {
		t.Helper()
		body := &meanwhile{strings.NewReader("client_id=id&client_secret=client+secret"), do}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, b.server.URL+"/settings/sign-in/1", body)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		for _, c := range b.client.Jar.Cookies(req.URL) {
			req.AddCookie(c)
		}
		answer := httptest.NewRecorder()
		w.server.Config.Handler.ServeHTTP(answer, req)
		return answer
	}
	answer := save(func() {
		row := w.forgeNamed("hub")
		row.Credentials.Rotate("rotated")
		must(t, w.db.ChangeForge(t.Context(), &row))
	})
	if answer.Code != http.StatusConflict || !strings.Contains(answer.Body.String(), "Somebody else changed hub just now") {
		t.Errorf("answered is %d %s", answer.Code, answer.Body)
	}
	if c := w.forgeNamed("hub").Credentials; c.WebhookSecret != "rotated" || c.ClientID != "" {
		t.Error("the rotation was undone")
	}
	if answer = save(func() { must(t, w.db.DeleteForge(t.Context(), 1)) }); answer.Code != http.StatusConflict {
		t.Errorf("answered is %d %s", answer.Code, answer.Body)
	}
	if list, err := w.db.Forges(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("the forge is there again: %v, %v", list, err)
	}
}

func TestSignInByAForge(t *testing.T) {
	for _, kind := range []forgetest.Kind{forgetest.GitHub, forgetest.Gitea} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			b := w.ownerAt("https://deploy.example.com")
			forge := w.realForge(kind)
			id, secret := forge.OAuthApp()
			if p := b.get("/sign-in/with/1"); p.StatusCode != http.StatusNotFound {
				t.Errorf("before it is set up: %d", p.StatusCode)
			}
			b.post("/settings/sign-in/1", "client_id", "", "client_secret", "").is(t, http.StatusUnprocessableEntity, "Fill in this field")
			b.post("/settings/sign-in/1", "client_id", id, "client_secret", secret).leads(t, "/settings/users")
			if p := b.get("/settings/sign-in/1"); strings.Contains(p.body, secret) || !strings.Contains(p.body, id) {
				t.Errorf("the page shows %s", p.body)
			}
			b.post("/settings/sign-in/1", "client_id", id, "client_secret", "").leads(t, "/settings/users") // the secret stays
			b.post("/settings/users", "username", "octo", "role", "deployer", "account_forge", "hub", "account_login", "a/b").is(t, http.StatusUnprocessableEntity, "name of the account alone")
			b.post("/settings/users", "username", "octo", "role", "deployer", "account_forge", "", "account_login", "Octo-Cat").is(t, http.StatusUnprocessableEntity, "Choose one of the options")
			b.post("/settings/users", "username", "octo", "role", "deployer", "account_forge", "hub", "account_login", "Octo-Cat").leads(t, "/settings/users/2")
			b.get("/settings/users").is(t, http.StatusOK, "octo-cat at hub")

			octo := w.browser()
			octo.get("/sign-in").is(t, http.StatusOK, "Sign in with hub")
			forge.Visitor("octo-cat")
			back := octo.follow("/workloads?q=a")
			octo.get(back.RequestURI()).leads(t, "/workloads?q=a")
			octo.get("/workloads").is(t, http.StatusOK, "octo")
			octo.get(back.RequestURI()).is(t, http.StatusForbidden, "not begun in this browser")
			w.audited("session.started", "hub")

			stranger := w.browser()
			forge.Visitor("mallory")
			stranger.get(stranger.follow("/").RequestURI()).is(t, http.StatusForbidden, "No user here has the account mallory of hub")
			stranger.get("/workloads").leads(t, "/sign-in?next=%2Fworkloads")
			forge.Visitor("")
			stranger.get(stranger.follow("/").RequestURI()).is(t, http.StatusForbidden, "hub was not allowed to say who you are")
			forge.Visitor("octo-cat")
			state := stranger.follow("//evil.example.com")
			stolen := strings.Replace(state.RequestURI(), "state=", "state=x", 1)
			stranger.get(stolen).is(t, http.StatusForbidden, "not begun in this browser")
			stranger.get(stranger.follow("//evil.example.com").RequestURI()).leads(t, "/workloads")

			// Somebody else has taken the login over.
			must(t, w.db.SetAccountID(t.Context(), 2, "1"))
			other := w.browser()
			other.get(other.follow("/").RequestURI()).is(t, http.StatusForbidden, "No user here has the account")

			b.post("/settings/sign-in/1", "client_id", id, "client_secret", "wrong-secret").leads(t, "/settings/users")
			p := other.get(other.follow("/").RequestURI())
			p.is(t, http.StatusBadGateway, "hub did not say who you are")
			if strings.Contains(p.body, "wrong-secret") {
				t.Error("the page holds the secret")
			}
			b.post("/settings/sign-in/1", "op", "off").leads(t, "/settings/users")
			if p := other.get("/sign-in"); strings.Contains(p.body, "Sign in with hub") {
				t.Error("it is still offered")
			}
			row, err := w.db.ForgeByName(t.Context(), "hub")
			must(t, err)
			if row.Credentials.ClientSecret != "" || row.Credentials.WebhookSecret == "" {
				t.Error("the credentials are not what they should be")
			}
		})
	}
}

func TestGitLabSignsNobodyIn(t *testing.T) {
	w := newWorld(t)
	b := w.ownerAt("https://deploy.example.com")
	row := db.Forge{Name: "lab", Kind: "gitlab", URL: "https://gitlab.com"}
	must(t, w.db.SaveForge(t.Context(), &row))
	b.get("/settings/sign-in/1").is(t, http.StatusNotFound)
	b.get("/settings/users").is(t, http.StatusOK, "First connect a GitHub")
}

// TestSignInByTheAppThatWasMade: an App that GitHub made for us lets people sign in without another setting.
func TestSignInByTheAppThatWasMade(t *testing.T) {
	w, s := newWorld(t), newForgeServer(t, forgetest.Options{Kind: forgetest.GitHub})
	b := w.ownerAt("https://deploy.example.com")
	w.begun(b, s)
	p := b.get("/forges/new/github/1")
	back, err := url.Parse(w.press(s, html.UnescapeString(find(t, p.body, `action="(http[^"]+)"`)), html.UnescapeString(find(t, p.body, `name="manifest" value="([^"]+)"`))))
	must(t, err)
	b.get(back.RequestURI()).leaves(t, s.URL()+"/apps/tinyforge-x7k2/installations/new")
	b.post("/settings/users", "username", "octo", "role", "viewer", "account_forge", "github-acme", "account_login", "octo-cat").leads(t, "/settings/users/2")
	octo := w.browser()
	octo.get("/sign-in").is(t, http.StatusOK, "Sign in with github-acme")
	s.Visitor("octo-cat")
	octo.get(octo.follow("/workloads").RequestURI()).leads(t, "/workloads")
}
