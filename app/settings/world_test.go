package settings_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"tinyforge/app"
	"tinyforge/app/settings"
	"tinyforge/db"
	"tinyforge/db/migratedtest"
	"tinyforge/templates"
)

// world is the pages over a real database, behind a server on loopback.
type world struct {
	t      testing.TB
	db     *db.DB
	server *httptest.Server
	pages  *settings.Settings
	code   code
	opener func(db.Forge) (app.Forge, error)

	address string // of the database
}

// compiled are the pages of every world: to read them takes longer than most tests.
var compiled = sync.OnceValues(func() (*templates.Set, error) { return templates.New(time.Now) })

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOf(t, func(*settings.Config) {})
}

// newWorldOf is newWorld with another configuration of the pages.
func newWorldOf(t testing.TB, change func(*settings.Config)) *world {
	t.Helper()
	keys, err := db.NewKeyring()
	must(t, err)
	address := migratedtest.SQLite(t)
	store, err := db.Open(t.Context(), address, keys)
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	set, err := compiled()
	must(t, err)
	w := &world{t: t, db: store, address: address}
	mux := http.NewServeMux()
	c := settings.Config{DB: store, Templates: set, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Version: "test",
		Sources: sources{}, Code: &w.code, Prober: prober{}, CheckRoute: checkRoute}
	w.addForges(&c, mux)
	change(&c)
	w.pages = settings.New(c)
	w.pages.HashCheaply()
	w.pages.Mount(mux)
	w.server = httptest.NewServer(mux)
	t.Cleanup(w.server.Close)
	t.Cleanup(w.pages.EndStreams) // or the server would wait for them
	return w
}

// browser keeps cookies, and does not follow redirects by itself.
type browser struct {
	*world
	client *http.Client
	lang   string
}

func (w *world) browser() *browser {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	must(w.t, err)
	return &browser{w, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, "en"}
}

// page is an answer that was read.
type page struct {
	*http.Response
	body string
}

func (b *browser) do(method, path string, form url.Values, headers ...string) page {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.server.URL+path, body)
	must(b.t, err)
	req.Header.Set("Accept-Language", b.lang)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := b.client.Do(req)
	must(b.t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	must(b.t, err)
	return page{res, string(raw)}
}

func (b *browser) get(path string) page { b.t.Helper(); return b.do(http.MethodGet, path, nil) }

func (b *browser) post(path string, pairs ...string) page {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return b.do(http.MethodPost, path, form)
}

// is checks the status, and that the page says all of this.
func (p page) is(t testing.TB, status int, says ...string) {
	t.Helper()
	if p.StatusCode != status {
		t.Errorf("%s %s answers %d, want %d: %s", p.Request.Method, p.Request.URL.Path, p.StatusCode, status, p.body)
	}
	for _, s := range says {
		if !strings.Contains(p.body, s) {
			t.Errorf("%s does not say %q:\n%s", p.Request.URL.Path, s, p.body)
		}
	}
}

func (p page) says(text string) bool { return strings.Contains(p.body, text) }

// leads checks that the answer is a redirect to a page.
func (p page) leads(t testing.TB, to string) {
	t.Helper()
	if got := p.Header.Get("Location"); p.StatusCode != http.StatusSeeOther || got != to {
		t.Errorf("%s %s answers %d to %q, want 303 to %q: %s", p.Request.Method, p.Request.URL.Path, p.StatusCode, got, to, p.body)
	}
}

const password = "correct horse battery staple"

// owner makes the first administrator, as a person does with the printed link, and is signed in as that. The address of this
// Tinyforge is the server's.
func (w *world) owner() *browser { w.t.Helper(); return w.ownerAt(w.server.URL) }

// ownerAt is owner with another address of this Tinyforge.
func (w *world) ownerAt(address string) *browser {
	w.t.Helper()
	token, err := w.db.NewSignInLink(w.t.Context(), 0)
	must(w.t, err)
	b := w.browser()
	b.post("/setup", "token", token, "username", "ann", "password", password, "language", "en", "base_url", address).leads(w.t, "/start")
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
