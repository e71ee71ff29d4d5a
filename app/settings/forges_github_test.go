package settings_test

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tinyforge/app/forgetest"
	"tinyforge/db"
)

// begun is an App that somebody has begun to make on a GitHub of their own network, and the state that it waits for.
func (w *world) begun(b *browser, s *forgeServer) (db.AppRequest, string) {
	w.t.Helper()
	p := b.post("/forges/new/github", "host", s.URL(), "allow", "loopback", "app_name", "tinyforge-x7k2", "organisation", "acme", "webhook", "deliver")
	p.leads(w.t, "/forges/new/github/1")
	r, err := w.db.AppRequest(w.t.Context(), 1)
	must(w.t, err)
	return r, r.State
}

// leaves checks that the answer is a redirect to a page of a forge, and returns the state that it takes along.
func (p page) leaves(t *testing.T, to string) (state string) {
	t.Helper()
	got := p.Header.Get("Location")
	if address, state, _ := strings.Cut(got, "?state="); p.StatusCode == http.StatusSeeOther && address == to && state != "" {
		return state
	}
	t.Fatalf("%s answers %d to %q, want 303 to %s and a state: %s", p.Request.URL.Path, p.StatusCode, got, to, p.body)
	return ""
}

// press posts what a page of ours would make the browser post to GitHub, presses the button there, and returns where GitHub
// sends the browser.
func (w *world) press(s *forgeServer, target, manifest string) string {
	w.t.Helper()
	u, err := url.Parse(target)
	must(w.t, err)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.PostForm(s.URL()+"/settings/apps?"+u.RawQuery, url.Values{"manifest": {manifest}, "name": {"tinyforge-x7k2"}, "organization": {"acme"}})
	must(w.t, err)
	_ = resp.Body.Close()
	return strings.TrimPrefix(resp.Header.Get("Location"), w.server.URL)
}

func TestGitHubForm(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	b.get("/forges/new").is(t, http.StatusOK, "there is no token to copy", "/forges/new/gitea")
	b.get("/forges/new/github").is(t, http.StatusOK, "GitHub cannot reach 127.0.0.1", `value="none" checked`, "tinyforge-127-0-0-1-")
	b.post("/forges/new/github", "host", "x", "organisation", "a--b", "app_name", strings.Repeat("x", 35), "webhook", "?").is(t, http.StatusUnprocessableEntity,
		"Use the name from the address", "GitHub allows at most 34 characters", "Choose one of the options")
	s := newForgeServer(t, forgetest.Options{Kind: forgetest.GitHub})
	b.post("/forges/new/github", "host", s.URL(), "app_name", "x", "webhook", "none").is(t, http.StatusUnprocessableEntity, "in a private network", "Allow the network loopback")
	b.post("/forges/new/github", "host", "http://127.0.0.1:1", "allow", "loopback", "app_name", "x", "webhook", "none").is(t, http.StatusUnprocessableEntity, "did not answer")
}

func TestRegisterPage(t *testing.T) {
	w, s := newWorld(t), newForgeServer(t, forgetest.Options{Kind: forgetest.GitHub})
	b := w.owner()
	r, state := w.begun(b, s)
	p := b.get("/forges/new/github/1")
	p.is(t, http.StatusOK, "Continue to GitHub", "Read packages", "acme", "tinyforge-x7k2", s.URL()+"/organizations/acme/settings/apps/new?state="+state)
	if csp := p.Header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "form-action 'self' "+s.URL()) {
		t.Errorf("the policy is %q", csp)
	}
	if csp := b.get("/forges").Header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "form-action 'self'") {
		t.Errorf("elsewhere the policy is %q", csp)
	}
	b.get("/forges").is(t, http.StatusOK, "Not finished", "Continue", "Delete")
	b.get("/forges/new/github/2").is(t, http.StatusNotFound)
	b.post("/forges/new/github/1/renew").leads(t, "/forges/new/github/1")
	if again, err := w.db.AppRequest(t.Context(), r.ID); err != nil || again.State == state {
		t.Errorf("it has the same state: %v", err)
	}
	b.post("/forges/new/github/1/delete").leads(t, "/forges")
	b.get("/forges").is(t, http.StatusOK, "tinyforge-x7k2 was given up", "No forge is connected yet")
}

func TestReturnFromGitHub(t *testing.T) {
	w, s := newWorld(t), newForgeServer(t, forgetest.Options{Kind: forgetest.GitHub})
	b := w.owner()
	must(t, s.UninstallApp("acme"))
	w.begun(b, s)
	p := b.get("/forges/new/github/1")
	back := w.press(s, html.UnescapeString(find(t, p.body, `action="(http[^"]+)"`)), html.UnescapeString(find(t, p.body, `name="manifest" value="([^"]+)"`)))
	query := back[strings.Index(back, "?"):]

	// What is not the answer to what we have asked stores nothing.
	for _, wrong := range []string{"", "?code=x", "?state=y", "?code=x&state=y"} {
		b.get("/forges/github/created"+wrong).is(t, http.StatusForbidden, "belongs to nothing that you have begun here", "To the forges")
	}
	w.as(db.Administrator).get("/forges/github/created"+query).is(t, http.StatusForbidden, "belongs to nothing")
	nobody := w.browser()
	nobody.get("/forges/github/created"+query).leads(t, "/sign-in?next="+url.QueryEscape("/forges/github/created"+query))

	// A GitHub that is away loses nothing.
	s.Fault(func(*http.Request) *forgetest.Fault { return &forgetest.Fault{Status: http.StatusBadGateway} })
	b.get("/forges/github/created"+query).is(t, http.StatusBadGateway, "could not be asked", "Try again", "502 Bad Gateway")
	s.Fault(nil)
	b.get("/forges/github/created"+query).is(t, http.StatusForbidden, "belongs to nothing") // it is good once
	b.get("/forges/new/github/1").is(t, http.StatusOK, "What is left is to fetch its keys")
	state := b.post("/forges/new/github/1/retry").leaves(t, s.URL()+"/apps/tinyforge-x7k2/installations/new")

	row := w.forgeNamed("github-acme")
	want := s.Row("")
	if row.AppID != want.AppID || row.Credentials.PrivateKey != want.Credentials.PrivateKey || row.Credentials.WebhookSecret != want.Credentials.WebhookSecret ||
		row.Owner != "acme" || !row.OwnerIsOrganization || row.AppSlug != "tinyforge-x7k2" {
		t.Errorf("saved %+v", row)
	}
	b.get("/forges/1").is(t, http.StatusOK, "Not installed yet", "Choose repositories at GitHub", s.URL()+"/organizations/acme/settings/apps/tinyforge-x7k2")

	// Who may not install asks; who installed elsewhere is not believed.
	for _, foreign := range []string{"", "&state=1", "&state=x"} {
		b.get("/forges/github/installed?setup_action=request"+foreign).leads(t, "/forges")
	}
	w.user("bob", db.Administrator).get("/forges/github/installed?setup_action=request&state="+state).leads(t, "/forges")
	if row := w.forgeNamed("github-acme"); row.Requested {
		t.Error("a visit that was not begun here changed the forge")
	}
	b.get("/forges/github/installed?setup_action=request&state="+state).leads(t, "/forges/1")
	b.get("/forges/1").is(t, http.StatusOK, "The request was sent to the owner", "Waiting for approval")
	for _, wrong := range []string{"", "?installation_id=1&setup_action=install", "?installation_id=x", "?installation_id=-1"} {
		b.get("/forges/github/installed"+wrong).is(t, http.StatusForbidden, "belongs to no app that is connected here")
	}
	id, err := s.InstallApp("acme")
	must(t, err)
	address := "/forges/github/installed?setup_action=install&installation_id=" + number(id)
	s.Fault(func(*http.Request) *forgetest.Fault { return &forgetest.Fault{Status: http.StatusBadGateway} })
	b.get(address).is(t, http.StatusBadGateway, "could not be asked", "Try again")
	s.Fault(nil)
	b.get(address).leads(t, "/forges/1")
	b.get("/forges/1").is(t, http.StatusOK, "github-acme connected", "acme/site", "Connected", "1 repository")
	b.post("/forges/1/rotate").leads(t, "/forges/1")
	if secret := s.Row("").Credentials.WebhookSecret; secret != w.forgeNamed("github-acme").Credentials.WebhookSecret {
		t.Error("GitHub has another secret than we")
	}
	b.get("/forges/1/edit").is(t, http.StatusOK, "GitHub is told another secret")
	b.post("/forges/1/edit", "version", find(t, b.get("/forges/1/edit").body, `name="version" value="([^"]+)"`), "networks", "loopback\nprivate").leads(t, "/forges/1")
}

func TestACodeThatIsOver(t *testing.T) {
	w, s := newWorld(t), newForgeServer(t, forgetest.Options{Kind: forgetest.GitHub})
	b := w.owner()
	_, state := w.begun(b, s)
	b.get("/forges/github/created?code=wrong&state="+state).is(t, http.StatusGone, "GitHub gives the app&#39;s keys once", "Start this step again", s.URL()+"/organizations/acme/settings/apps")
	b.post("/forges/new/github/1/renew").leads(t, "/forges/new/github/1")
	b.get("/forges/new/github/1").is(t, http.StatusOK, "Continue to GitHub")
}
