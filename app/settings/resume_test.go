package settings_test

import (
	"database/sql"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tinyforge/db"
)

// hidden is the value of a hidden field of a page.
func hidden(t testing.TB, p page, name string) string {
	t.Helper()
	_, after, found := strings.Cut(p.body, `name="`+name+`" value="`)
	value, _, _ := strings.Cut(after, `"`)
	if !found || value == "" {
		t.Fatalf("%s has no field %s:\n%s", p.Request.URL.Path, name, p.body)
	}
	return value
}

// interrupted sends a form without a session, signs in as ann, and returns the page after.
func (b *browser) interrupted(path string, pairs ...string) page {
	b.t.Helper()
	p := b.post(path, pairs...)
	p.is(b.t, http.StatusUnauthorized)
	return b.post("/sign-in", "username", "ann", "password", password, "resume", hidden(b.t, p, "resume"))
}

// changes counts what was done, but for signing in.
func (w *world) changes() (n int) {
	w.t.Helper()
	list, err := w.db.AuditEntries(w.t.Context(), "", 0, 100)
	must(w.t, err)
	for _, e := range list {
		if !strings.HasPrefix(e.Action, "session.") {
			n++
		}
	}
	return n
}

// expireSessions makes all sessions as old as they may get.
func (w *world) expireSessions() {
	w.t.Helper()
	pool, err := sql.Open("sqlite", strings.TrimPrefix(w.address, "sqlite://")+"?_pragma=busy_timeout(10000)")
	must(w.t, err)
	defer func() { must(w.t, pool.Close()) }()
	_, err = pool.ExecContext(w.t.Context(), "UPDATE sessions SET expires_at = '2020-01-01 00:00:00+00:00'")
	must(w.t, err)
}

// TestFormsAreResumed: what was typed is shown again after signing in, and nothing is done by itself.
func TestFormsAreResumed(t *testing.T) {
	w := newWorld(t)
	w.owner()
	shop, forge := w.workload("shop"), forgeAt(w.forgeNamed("hub"), "")
	before := w.changes()
	for path, c := range map[string]struct {
		shows string
		typed []string
	}{
		"/settings":                {"Asia/Tokyo", []string{"time_zone", "Asia/Tokyo"}},
		"/settings/tokens":         {"my-name", []string{"token_name", "my-name", "token_life", "30"}},
		"/settings/users":          {"my-name", []string{"username", "my-name", "role", "viewer"}},
		"/settings/users/1":        {"my-name", []string{"username", "my-name", "role", "administrator"}},
		"/settings/networks":       {"192.0.2.0/24", []string{"networks", "192.0.2.0/24"}},
		"/settings/retention":      {"77", []string{"keep_history", "77", "keep_releases", "7", "disk_floor", "3G"}},
		"/workloads":               {"my-name", []string{"repo", number(shop.RepositoryID), "name", "my-name", "source_type", "dockerfile", "op", "deploy"}},
		"/workloads/shop/settings": {"MY_NAME", []string{"env_name", "MY_NAME", "env_value", "s3cret-value", "env_secret", "0", "source_type", "dockerfile", "op", "deploy"}},
		"/workloads/shop/delete":   {`value="shop"`, []string{"name", "shop"}},
		"/forges/new/github":       {"my-name", []string{"host", "https://github.com", "app_name", "my-name", "webhook", "none"}},
		"/forges/new/gitea":        {"//my-name", []string{"base_url", "https://my-name", "token", "s3cret-value"}},
		"/forges/new/gitlab":       {"//my-name", []string{"base_url", "https://my-name", "token", "s3cret-value"}},
		forge + "/edit":            {"192.0.2.0/24", []string{"networks", "192.0.2.0/24", "base_url", "https://my-name", "token", "s3cret-value"}},
	} {
		b := w.browser()
		p := b.interrupted(path, c.typed...)
		p.is(t, http.StatusOK, `action="`+path+`"`)
		sealed := hidden(t, p, "resumed")
		again := b.post(path, "resumed", sealed)
		again.is(t, http.StatusOK, "Nothing was saved yet", c.shows)
		if strings.Contains(p.body+again.body, "s3cret-value") || strings.Contains(again.body, "<title>Error") {
			t.Errorf("%s shows: %s\n%s", path, p.body, again.body)
		}
		b.post(path+"?other", "resumed", sealed).is(t, http.StatusGone, "not kept any more")
		if now := w.changes(); now != before {
			t.Fatalf("%s was carried out", path)
		}
	}
	if left, err := w.db.WorkloadByName(t.Context(), "shop"); err != nil || left.UpdatedAt != shop.UpdatedAt {
		t.Errorf("the workload is %+v (%v)", left, err)
	}
}

// TestWhatIsNoFormIsNotCarriedOut: after signing in, the page is there from which it was asked for, and nothing has happened.
func TestWhatIsNoFormIsNotCarriedOut(t *testing.T) {
	w := newWorld(t)
	w.owner()
	w.user("eve", db.Viewer)
	b := w.browser()
	for referer, back := range map[string]string{w.server.URL + "/settings/users/2?a=b": "/settings/users/2?a=b", "https://evil.example.com/settings": "/workloads",
		w.server.URL + "//evil.example.com": "/workloads", "": "/workloads"} {
		p := b.do(http.MethodPost, "/settings/users/2/remove", url.Values{"name": {"x"}}, "Referer", referer)
		p.is(t, http.StatusUnauthorized, "was not carried out")
		b.post("/sign-in", "username", "ann", "password", password, "resume", hidden(t, p, "resume")).leads(t, back)
		b.get("/workloads").is(t, http.StatusOK, "What you sent before was not carried out.")
		b.post("/sign-out")
	}
	if users, err := w.db.Users(t.Context()); err != nil || len(users) != 2 {
		t.Errorf("users %v (%v)", users, err)
	}
}

// TestNobodyResumesWhatAnotherTyped: the form is of whoever typed it, and of whoever signed in after that.
func TestNobodyResumesWhatAnotherTyped(t *testing.T) {
	w := newWorld(t)
	ann := w.owner()
	bob := w.user("bob", db.Administrator)
	w.expireSessions()
	typed := []string{"token_name", "my-name", "token_life", "30"}
	p := bob.post("/settings/tokens", typed...)
	p.is(t, http.StatusUnauthorized, "what you typed is kept")
	sealed := hidden(t, p, "resume")
	ann.post("/sign-in", "username", "ann", "password", password, "resume", sealed).leads(t, "/workloads")
	p = bob.post("/sign-in", "username", "bob", "password", "a tree house in spring", "resume", sealed)
	sealed = hidden(t, p, "resumed")
	ann.post("/settings/tokens", "resumed", sealed).is(t, http.StatusGone)
	bob.post("/settings/tokens", "resumed", sealed).is(t, http.StatusOK, "my-name")

	w.expireSessions() // once more, on the way to the form
	p = bob.post("/settings/tokens", "resumed", sealed)
	p = bob.post("/sign-in", "username", "bob", "password", "a tree house in spring", "resume", hidden(t, p, "resume"))
	bob.post("/settings/tokens", "resumed", hidden(t, p, "resumed")).is(t, http.StatusOK, "my-name")
}
