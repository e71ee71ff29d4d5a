package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tinyforge/app"
	"tinyforge/app/settings"
	"tinyforge/db"
	"tinyforge/db/dbtest"
	"tinyforge/deploy/docker"
	"tinyforge/deploy/proxy"
	"tinyforge/webhooks"
)

// noSites is a proxy that serves nothing.
type noSites struct{}

func (noSites) State(context.Context) (string, bool) { return "ok", true }
func (noSites) Serves() (http, https string)         { return "", "" }
func (noSites) Away() bool                           { return false }
func (noSites) Folder() string                       { return "" }
func (noSites) Stats() []proxy.Stats                 { return nil }

// listenersOf are the handlers of both listeners, of a Tinyforge with a user and a forge.
func listenersOf(t *testing.T) map[string]http.Handler {
	t.Helper()
	c, _ := keyWorld(t, dbtest.SQLite(t))
	store, err := readyStore(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	engine, err := docker.New(docker.Config{Host: "tcp://127.0.0.1:1", Instance: "none", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	forges := app.NewForges(store, forgeKinds())
	forge := db.Forge{Name: "git", Kind: "gitea", URL: "https://git.example.com", Credentials: db.Credentials{Token: "token", WebhookSecret: "secret"}}
	if err := errors.Join(store.SaveForge(t.Context(), &forge), store.SaveUser(t.Context(), &db.User{Name: "ann", Role: db.Administrator})); err != nil {
		t.Fatal(err)
	}
	pages, err := newPages(c, settings.Config{DB: store, Log: log, Choices: settings.NewChoices(store, c.chosen()), Forges: forges})
	if err != nil {
		t.Fatal(err)
	}
	parts := controlParts{db: store, hooks: webhooks.New(store, forges.OpenRow, log), pages: pages, engine: engine, sites: noSites{}, counted: noSites{}, log: log}
	return map[string]http.Handler{"public": parts.publicHandler(), "private": parts.privateHandler()}
}

// TestWhatEachListenerAnswersAnybody: who shows nothing gets what the table says, at each listener, by whatever name he calls it.
func TestWhatEachListenerAnswersAnybody(t *testing.T) {
	t.Parallel()
	const (
		ok, signIn, unsigned = http.StatusOK, http.StatusSeeOther, http.StatusUnauthorized
		none, method         = http.StatusNotFound, http.StatusMethodNotAllowed
	)
	table := map[string]struct{ public, private int }{
		"GET /healthz":             {ok, ok},
		"GET /readyz":              {none, ok},
		"GET /metrics":             {none, ok},
		"HEAD /metrics":            {none, ok},
		"POST /metrics":            {none, method},
		"POST /healthz":            {method, method},
		"POST /webhooks/git":       {unsigned, unsigned},
		"POST /webhooks/absent":    {none, none},
		"POST /webhooks/%2E%2E":    {none, none},
		"GET /webhooks/git":        {method, method},
		"GET /sign-in":             {ok, ok},
		"GET /workloads":           {signIn, signIn},
		"GET /api/v1/openapi.yaml": {ok, ok},
		"GET /api/v1/workloads":    {unsigned, unsigned},
		"GET /api/v1/absent":       {unsigned, unsigned},
		"GET /debug/pprof":         {none, none},
		"GET /debug/vars":          {none, none},
		"POST /upsert":             {none, none}, // what the proxy's socket takes
	}
	for name, handler := range listenersOf(t) {
		answer := func(method, path string, body io.Reader) int {
			request := httptest.NewRequestWithContext(t.Context(), method, "http://deploy.example.com"+path, body)
			request.Header.Set("Sec-Fetch-Site", "same-origin")
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, request)
			return w.Code
		}
		for pattern, want := range table {
			method, path, _ := strings.Cut(pattern, " ")
			status := map[string]int{"public": want.public, "private": want.private}[name]
			if code := answer(method, path, strings.NewReader("{}")); code != status {
				t.Errorf("%s listener: %s is answered %d, want %d", name, pattern, code, status)
			}
		}
		for _, path := range []string{"/metrics/", "//metrics", "/./metrics", "/x/../metrics", "/%6detrics", "/metrics%2F", "/METRICS", "/readyz/", "/webhooks/../metrics", "/api/../readyz"} {
			if code := answer(http.MethodGet, path, nil); name == "public" && code == ok {
				t.Errorf("at the public address %s is answered %d", path, code)
			}
		}
	}
}

// TestNobodyCanHaveUsKilled: no variable for tests means anything to the program as it is built, and there is no point at which it
// would kill itself.
func TestNobodyCanHaveUsKilled(t *testing.T) {
	t.Parallel()
	forChaos := regexp.MustCompile(`(?m)^//go:build (chaos|profile)$`)
	kills := regexp.MustCompile(`TINYFORGE_TEST_|os\.Getpid\(\), syscall\.SIGKILL`)
	found := 0
	err := filepath.WalkDir("../..", func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "cmd/bench/") {
			return err
		}
		text, err := os.ReadFile(path)
		if kills.Match(text) {
			if found++; !forChaos.Match(text) {
				t.Errorf("%s is built into the program", path)
			}
		}
		return err
	})
	if err != nil || found == 0 {
		t.Errorf("%d files are for chaos and profiles alone, %v", found, err)
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	tagged := regexp.MustCompile(`(?m)^.*-tags.*$`).FindAllString(string(makefile), -1)
	if len(tagged) == 0 || slices.ContainsFunc(tagged, func(line string) bool { return !strings.HasPrefix(line, "\t$(GO) test ") }) {
		t.Errorf("what is built for chaos, and is no test: %q", tagged)
	}
}
