package settings_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"tinyforge/app/settings"
	"tinyforge/db"
)

// leaving is the context of somebody who leaves as soon as something is done.
type leaving struct {
	context.Context
	done func() bool

	once sync.Once
	gone chan struct{}
}

func newLeaving(t *testing.T, done func() bool) *leaving {
	t.Helper()
	return &leaving{Context: t.Context(), done: done, gone: make(chan struct{})}
}

func (l *leaving) Done() <-chan struct{} {
	if l.done() {
		l.once.Do(func() { close(l.gone) })
	}
	return l.gone
}

func (l *leaving) Err() error {
	select {
	case <-l.Done():
		return context.Canceled
	default:
		return nil
	}
}

// ask does a request of the browser with another context, whose answer nobody reads.
func (b *browser) ask(ctx context.Context, method, path string, pairs ...string) {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	req := httptest.NewRequestWithContext(ctx, method, b.server.URL+path, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, c := range b.client.Jar.Cookies(req.URL) {
		req.AddCookie(c)
	}
	b.server.Config.Handler.ServeHTTP(httptest.NewRecorder(), req)
}

func (w *world) actions(kind string) (list []string) {
	w.t.Helper()
	entries, err := w.db.AuditEntries(w.t.Context(), kind, 0, 10)
	must(w.t, err)
	for _, e := range entries {
		list = append(list, e.Action)
	}
	return list
}

func TestWhatSomebodyDidWhoLeftIsWrittenDown(t *testing.T) {
	left := false
	w := newWorldOf(t, func(c *settings.Config) { c.Tidy = func(context.Context) error { left = true; return nil } })
	b := w.owner()
	b.ask(newLeaving(t, func() bool { return left }), http.MethodPost, "/settings/retention/tidy")
	if got := w.actions("settings"); len(got) == 0 || got[0] != "settings.tidied" {
		t.Errorf("written down is %v", got)
	}
}

func TestWhoLeavesIsSetUp(t *testing.T) {
	w := newWorld(t)
	token, err := w.db.NewSignInLink(t.Context(), 0)
	must(t, err)
	keys, err := db.NewKeyring()
	must(t, err)
	other, err := db.Open(t.Context(), w.address, keys) // the pages' own would wait for its own answer
	must(t, err)
	t.Cleanup(func() { _ = other.Close() })
	there := func() bool { _, err := other.UserByName(t.Context(), "ann"); return err == nil }
	w.browser().ask(newLeaving(t, there), http.MethodPost, "/setup",
		"token", token, "username", "ann", "password", password, "language", "en", "base_url", w.server.URL)
	user, err := w.db.UserByName(t.Context(), "ann")
	must(t, err)
	if list, err := w.db.Sessions(t.Context(), user.ID); err != nil || len(list) != 1 {
		t.Errorf("the sessions are %v, %v", list, err)
	}
	if stored, err := w.db.Settings(t.Context()); err != nil || stored[settings.OptionPublicURL] != w.server.URL {
		t.Errorf("stored is %v, %v", stored, err)
	}
	if got := w.actions("user"); len(got) != 1 || got[0] != "user.set_up" {
		t.Errorf("written down is %v", got)
	}
}

// tellingApps is a GitHub that has told an App's key.
type tellingApps struct {
	settings.Apps
	told bool
}

func (a *tellingApps) Convert(ctx context.Context, row *db.Forge, _ string) error {
	row.AppID, row.Credentials.PrivateKey, a.told = 5, "pem", true
	return ctx.Err()
}

var _ settings.Apps = (*tellingApps)(nil)

func TestTheKeyOfAnAppIsKeptForWhoLeaves(t *testing.T) {
	apps := &tellingApps{}
	w := newWorldOf(t, func(c *settings.Config) { apps.Apps, c.Apps = c.Apps, apps })
	b := w.owner()
	user, err := w.db.UserByName(t.Context(), "ann")
	must(t, err)
	r := db.AppRequest{Name: "github", URL: "https://github.com", AppName: "x", UserID: user.ID}
	must(t, w.db.CreateAppRequest(t.Context(), &r))
	b.ask(newLeaving(t, func() bool { return apps.told }), http.MethodGet, "/forges/github/created?code=c&state="+r.State)
	if row := w.forgeNamed("github"); row.Credentials.PrivateKey != "pem" {
		t.Errorf("the key is lost: %+v", row)
	}
	if got := w.actions("forge"); len(got) != 1 || got[0] != "forge.connected" {
		t.Errorf("written down is %v", got)
	}
}
