package gitlab_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tinyforge/app"
	"tinyforge/app/forgetest"
	"tinyforge/app/gitlab"
	"tinyforge/db"
)

func open(t *testing.T, row db.Forge) (app.Forge, error) {
	t.Helper()
	client, err := app.NewClient(row.Networks)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	git, err := app.NewGit(row.Networks)
	if err != nil {
		t.Fatal(err)
	}
	return gitlab.New(row, app.Access{Client: client, Git: git})
}

func openServer(t *testing.T, s *forgetest.Server) app.Forge {
	t.Helper()
	forge, err := open(t, s.Row("forge"))
	if err != nil {
		t.Fatal(err)
	}
	return forge
}

func TestExercise(t *testing.T) { forgetest.Exercise(t, openServer, forgetest.GitLab) }

func start(t *testing.T, o forgetest.Options) (*forgetest.Server, db.Repository) {
	t.Helper()
	o.Kind = forgetest.GitLab
	s, err := forgetest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	r, err := s.CreateRepository("acme/site", true)
	if err != nil {
		t.Fatal(err)
	}
	return s, r.Row()
}

// with opens the server with a token of this kind.
func with(t *testing.T, s *forgetest.Server, access forgetest.Access) app.Forge {
	t.Helper()
	row := s.Row("forge")
	row.Credentials.Token = s.NewToken(access)
	forge, err := open(t, row)
	if err != nil {
		t.Fatal(err)
	}
	return forge
}

func commitTo(t *testing.T, s *forgetest.Server, repo, text string) string {
	t.Helper()
	work, err := s.Clone(t.Context(), repo, t.TempDir()+"/work")
	if err != nil {
		t.Fatal(err)
	}
	if err := work.Write("index.html", text, 0); err != nil {
		t.Fatal(err)
	}
	commit, err := work.Commit(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	if err := work.Push(t.Context(), "main"); err != nil {
		t.Fatal(err)
	}
	return commit
}

const (
	hash    = "0123456789abcdef0123456789abcdef01234567"
	address = "https://deploy.example.com/webhooks/forge"
)

func wantStatus(t *testing.T, err error, code int) {
	t.Helper()
	if status, ok := errors.AsType[*app.StatusError](err); !ok || status.Code != code {
		t.Errorf("got %v, want %d", err, code)
	}
}

// What only a reader sees is no repository to deploy from; what a developer sees is, though a webhook needs a maintainer.
func TestRoles(t *testing.T) {
	s, repo := start(t, forgetest.Options{})
	commit := commitTo(t, s, "acme/site", "one")
	for i, tc := range []struct {
		access               forgetest.Access
		listed               int
		status, hooks, fetch int // 0 is no error
	}{
		{forgetest.Access{Scopes: []string{"api"}, Right: forgetest.Admin}, 1, 0, 0, 0},
		{forgetest.Access{Scopes: []string{"api"}, Right: forgetest.Write}, 1, 0, 403, 0},
		{forgetest.Access{Scopes: []string{"api"}, Right: forgetest.Read}, 0, 403, 403, 0},
		{forgetest.Access{Scopes: []string{"api"}, Right: forgetest.Anonymous}, 0, 404, 404, 404},
		{forgetest.Access{Scopes: []string{"read_api", "read_repository"}, Right: forgetest.Admin}, 1, 403, 403, 0},
		{forgetest.Access{Scopes: []string{"read_api"}, Right: forgetest.Admin}, 1, 403, 403, 403},
	} {
		forge, listed := with(t, s, tc.access), 0
		for _, err := range forge.Repositories(t.Context()) {
			if err != nil {
				t.Error(err)
			}
			listed++
		}
		if listed != tc.listed {
			t.Errorf("%+v: %d listed", tc.access, listed)
		}
		_, hook := forgetest.EnsureHook(t.Context(), forge.(app.Hooker), repo, fmt.Sprint(address, i))
		for want, err := range map[*int]error{
			&tc.status: forge.SetStatus(t.Context(), repo, app.Status{Commit: commit, State: db.StatusSuccess}),
			&tc.hooks:  hook,
			&tc.fetch:  errOf(forge.Fetch(t.Context(), repo, commit, t.TempDir())),
		} {
			if *want != 0 {
				wantStatus(t, err, *want)
			} else if err != nil {
				t.Errorf("%+v: %v", tc.access, err)
			}
		}
	}
}

// A repository is what its id says. Its old name may have been taken by another one, which must get and give nothing.
func TestTheNameIsAskedForByID(t *testing.T) {
	s, repo := start(t, forgetest.Options{})
	forge := openServer(t, s)
	commit := commitTo(t, s, "acme/site", "ours")
	if err := s.Rename("acme/site", "acme/tools/web"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateRepository("acme/site", true); err != nil {
		t.Fatal(err)
	}
	theirs := commitTo(t, s, "acme/site", "theirs")

	if _, err := forgetest.EnsureHook(t.Context(), forge.(app.Hooker), repo, address); err != nil || len(s.Hooks("acme/tools/web")) != 1 || len(s.Hooks("acme/site")) != 0 {
		t.Errorf("hooks: %v, %v, error %v", s.Hooks("acme/tools/web"), s.Hooks("acme/site"), err)
	}
	status := app.Status{Commit: commit, State: db.StatusSuccess}
	if err := forge.SetStatus(t.Context(), repo, status); err != nil || len(s.Statuses("acme/tools/web", commit)) != 1 {
		t.Errorf("status: %v", err)
	}
	if heads, err := forge.Heads(t.Context(), repo); err != nil || heads["refs/heads/main"] != commit {
		t.Errorf("heads: %v, error %v", heads, err)
	}
	if _, err := forge.Fetch(t.Context(), repo, theirs, t.TempDir()); !errors.Is(err, app.ErrNoCommit) {
		t.Errorf("fetch of the other's commit: %v", err)
	}
	if _, err := forge.Fetch(t.Context(), repo, commit, t.TempDir()); err != nil {
		t.Errorf("fetch: %v", err)
	}
	if err := forge.(app.Hooker).RemoveHook(t.Context(), repo, address); err != nil || len(s.Hooks("acme/tools/web")) != 0 {
		t.Errorf("hooks: %v, error %v", s.Hooks("acme/tools/web"), err)
	}
}

// Answers that are no usable JSON end in an error, not in a crash.
func TestNonsense(t *testing.T) {
	for _, body := range []string{
		"", "null", "{}", "[null]", "[{}]", "secret", `{"id":1,"path_with_namespace":"secret"}`, `{"id":99,"path_with_namespace":"a/secret"}`,
		`[{"id":"secret"}]`, `[{"id":1,"path_with_namespace":"secret"}]`,
	} {
		s, repo := start(t, forgetest.Options{})
		forge := openServer(t, s)
		s.Fault(func(r *http.Request) *forgetest.Fault {
			code := 200
			switch {
			case r.Method == http.MethodPost:
				code = 201
			case r.URL.Query().Get("page") == "2":
				return &forgetest.Fault{Status: 200, Body: "[]"}
			}
			return &forgetest.Fault{Status: code, Body: body}
		})
		if _, err := forge.Heads(t.Context(), repo); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("heads of %q: %v", body, err)
		}
		for r, err := range forge.Repositories(t.Context()) {
			if err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("repositories of %q: %v, %v", body, r, err)
			}
		}
		if _, err := forgetest.EnsureHook(t.Context(), forge.(app.Hooker), repo, address); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("hook of %q: %v", body, err)
		}
	}
}

// A forge that shows the same projects for ever is not asked for ever.
func TestListsEnd(t *testing.T) {
	s, _ := start(t, forgetest.Options{})
	forge, asked := openServer(t, s), 0
	s.Fault(func(*http.Request) *forgetest.Fault {
		asked++
		return &forgetest.Fault{Status: 200, Body: `[{"id":7,"path_with_namespace":"acme/site"}]`}
	})
	var last error
	for _, err := range forge.Repositories(t.Context()) {
		last = err
	}
	if last == nil || asked != 2 {
		t.Errorf("asked %d times: %v", asked, last)
	}
}

func TestWhatCannotWork(t *testing.T) {
	s, repo := start(t, forgetest.Options{})
	forge := openServer(t, s)
	unknown := repo
	unknown.ExternalID = 0
	_, hook := forgetest.EnsureHook(t.Context(), forge.(app.Hooker), unknown, address)
	_, heads := forge.Heads(t.Context(), unknown)
	for name, err := range map[string]error{
		"status of no id":     forge.SetStatus(t.Context(), unknown, app.Status{Commit: hash, State: db.StatusSuccess}),
		"fetch of no id":      errOf(forge.Fetch(t.Context(), unknown, hash, t.TempDir())),
		"heads of no id":      heads,
		"hook of no id":       hook,
		"no hook of no id":    forge.(app.Hooker).RemoveHook(t.Context(), unknown, address),
		"status of no commit": forge.SetStatus(t.Context(), repo, app.Status{Commit: "main", State: db.StatusSuccess}),
		"status of no state":  forge.SetStatus(t.Context(), repo, app.Status{Commit: hash}),
		"fetch of no commit":  errOf(forge.Fetch(t.Context(), repo, "main", t.TempDir())),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	s, _ := start(t, forgetest.Options{})
	for _, tc := range []struct {
		want   string
		change func(*db.Forge)
	}{
		{"the access token is missing", func(r *db.Forge) { r.Credentials.Token = "" }},
		{"the signing token must be", func(r *db.Forge) { r.Credentials.SigningToken = "secret@" }},
		{"https://HOST", func(r *db.Forge) { r.URL, r.APIURL = "", "" }},
		{"https://HOST", func(r *db.Forge) { r.URL = "https://user:secret@git.example" }},
		{"https://HOST", func(r *db.Forge) { r.APIURL = "git.example" }},
	} {
		row := s.Row("forge")
		tc.change(&row)
		if _, err := open(t, row); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret@") {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
	row := s.Row("forge")
	row.URL, row.APIURL = row.URL+"/", row.URL+"/api/v4/"
	forge, err := open(t, row)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range forge.Repositories(t.Context()) {
		if err != nil {
			t.Error(err)
		}
	}
}

// A header says how many requests are allowed; nobody waits for it.
func TestRateLimitsAreAnswersNotPauses(t *testing.T) {
	s, repo := start(t, forgetest.Options{})
	forge := openServer(t, s)
	s.Fault(func(*http.Request) *forgetest.Fault {
		return &forgetest.Fault{Status: 200, Body: "[]", Header: http.Header{"Ratelimit-Limit": {"1"}, "Ratelimit-Remaining": {"0"}}}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for range 5 {
		if err := forge.(app.Hooker).RemoveHook(ctx, repo, address); err != nil {
			t.Fatal(err)
		}
	}
}

// errOf is the error of a fetch.
func errOf(_ db.CommitText, err error) error { return err }
