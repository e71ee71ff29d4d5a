package gitea_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"tinyforge/app"
	"tinyforge/app/forgetest"
	"tinyforge/app/gitea"
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
	return gitea.New(row, app.Access{Client: client, Git: git})
}

func openServer(t *testing.T, s *forgetest.Server) app.Forge {
	t.Helper()
	forge, err := open(t, s.Row("forge"))
	if err != nil {
		t.Fatal(err)
	}
	return forge
}

func TestExercise(t *testing.T) { forgetest.Exercise(t, openServer, forgetest.Gitea) }

func start(t *testing.T) (*forgetest.Server, db.Repository) {
	t.Helper()
	s, err := forgetest.Start(forgetest.Options{Kind: forgetest.Gitea})
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

const hash = "0123456789abcdef0123456789abcdef01234567"

func wantStatus(t *testing.T, err error, code int) {
	t.Helper()
	if status, ok := errors.AsType[*app.StatusError](err); !ok || status.Code != code {
		t.Errorf("got %v, want %d", err, code)
	}
}

// A token without read:user cannot list its owner's repositories, but it can search.
func TestRepositoriesBySearch(t *testing.T) {
	s, repo := start(t)
	if _, err := s.CreateRepository("acme/api", false); err != nil {
		t.Fatal(err)
	}
	list := func(access forgetest.Access) (names []string, failure error) {
		row := s.Row("forge")
		row.Credentials.Token = s.NewToken(access)
		forge, err := open(t, row)
		if err != nil {
			t.Fatal(err)
		}
		for r, err := range forge.Repositories(t.Context()) {
			if err != nil {
				return names, err
			}
			names = append(names, r.Repository.FullName)
		}
		return names, nil
	}
	names, err := list(forgetest.Access{Scopes: []string{"write:repository"}, Right: forgetest.Admin})
	if err != nil || strings.Join(names, " ") != repo.FullName+" acme/api" {
		t.Errorf("got %v, %v", names, err)
	}
	// What is only readable is no repository to deploy from: no status could be set there.
	if names, err := list(forgetest.Access{Scopes: []string{"write:repository"}, Right: forgetest.Read}); err != nil || len(names) != 0 {
		t.Errorf("with read access: %v, %v", names, err)
	}
	_, err = list(forgetest.Access{Scopes: []string{"read:organization"}, Right: forgetest.Admin})
	wantStatus(t, err, http.StatusForbidden)
}

func TestHooksNeedASecret(t *testing.T) {
	s, repo := start(t)
	row := s.Row("forge")
	row.Credentials.WebhookSecret = ""
	forge, err := open(t, row)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := forgetest.EnsureHook(t.Context(), forge.(app.Hooker), repo, "https://deploy.example.com/webhooks/forge"); err == nil || !strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	if hooks := s.Hooks(repo.FullName); len(hooks) != 0 {
		t.Errorf("there are %v", hooks)
	}
}

// Each fault by itself is reason enough to replace a hook.
func TestHooksAreRepaired(t *testing.T) {
	const address = "https://deploy.example.com/webhooks/forge"
	for name, hook := range map[string]forgetest.Hook{
		"inactive":        {Inactive: true, Events: []string{"push", "delete"}},
		"form":            {Form: true, Events: []string{"push", "delete"}},
		"too few events":  {Events: []string{"push"}},
		"too many events": {Events: []string{"push", "delete", "status"}},
	} {
		s, repo := start(t)
		forge := openServer(t, s).(app.Hooker)
		hook.URL = address
		if _, err := s.AddHook(repo.FullName, hook); err != nil {
			t.Fatal(err)
		}
		for _, want := range []bool{true, false} {
			if changed, err := forgetest.EnsureHook(t.Context(), forge, repo, address); err != nil || changed != want {
				t.Errorf("%s: changed %v, %v, want %v", name, changed, err, want)
			}
		}
		hooks := s.Hooks(repo.FullName)
		if len(hooks) != 1 || hooks[0].Inactive || hooks[0].Form || len(hooks[0].Events) != 2 || hooks[0].Secret != app.RepositorySecret(s.Row("forge").Credentials.WebhookSecret, repo.ExternalID) {
			t.Errorf("%s: now there are %+v", name, hooks)
		}
	}
}

// A repository is what its id says. Its old name may have been taken by another one, which must get and give nothing.
func TestTheNameIsAskedForByID(t *testing.T) {
	const address = "https://deploy.example.com/webhooks/forge"
	s, repo := start(t)
	forge := openServer(t, s)
	commit := commitTo(t, s, "acme/site", "ours")
	if err := s.Rename("acme/site", "acme/web"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateRepository("acme/site", true); err != nil {
		t.Fatal(err)
	}
	theirs := commitTo(t, s, "acme/site", "theirs")

	if _, err := forgetest.EnsureHook(t.Context(), forge.(app.Hooker), repo, address); err != nil || len(s.Hooks("acme/web")) != 1 || len(s.Hooks("acme/site")) != 0 {
		t.Errorf("hooks: %v, %v, error %v", s.Hooks("acme/web"), s.Hooks("acme/site"), err)
	}
	status := app.Status{Commit: commit, State: db.StatusSuccess}
	if err := forge.SetStatus(t.Context(), repo, status); err != nil || len(s.Statuses("acme/web", commit)) != 1 {
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
	if err := forge.(app.Hooker).RemoveHook(t.Context(), repo, address); err != nil || len(s.Hooks("acme/web")) != 0 {
		t.Errorf("hooks: %v, error %v", s.Hooks("acme/web"), err)
	}
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

// A status needs 201: any other good answer is not Gitea's.
func TestStatusDemands201(t *testing.T) {
	s, repo := start(t)
	s.Fault(func(r *http.Request) *forgetest.Fault {
		if r.Method == http.MethodPost {
			return &forgetest.Fault{Status: 200, Body: "{}"}
		}
		return nil
	})
	err := openServer(t, s).SetStatus(t.Context(), repo, app.Status{Commit: hash, State: db.StatusSuccess})
	wantStatus(t, err, http.StatusOK)
}

// Answers that are no usable JSON end in an error, not in a crash.
func TestNonsense(t *testing.T) {
	for _, body := range []string{"", "null", "{}", "[null]", "secret", `{"data":[null]}`, `{"id":1,"full_name":"secret"}`, `{"id":99,"full_name":"a/secret"}`, `[{"id":"secret"}]`} {
		s, repo := start(t)
		forge := openServer(t, s)
		s.Fault(func(r *http.Request) *forgetest.Fault {
			if r.URL.Query().Get("page") == "2" {
				return &forgetest.Fault{Status: 200, Body: "[]"}
			}
			if strings.HasSuffix(r.URL.Path, "/user/repos") {
				return &forgetest.Fault{Status: 403}
			}
			code := 200
			if r.Method == http.MethodPost {
				code = 201
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
		if _, err := forgetest.EnsureHook(t.Context(), forge.(app.Hooker), repo, "https://deploy.example.com/"); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("hook of %q: %v", body, err)
		}
	}
}

func TestWhatCannotWork(t *testing.T) {
	s, repo := start(t)
	forge := openServer(t, s)
	unknown := repo
	unknown.ExternalID = 0
	_, hook := forgetest.EnsureHook(t.Context(), forge.(app.Hooker), unknown, "https://deploy.example.com/")
	_, heads := forge.Heads(t.Context(), unknown)
	for name, err := range map[string]error{
		"status of no id":     forge.SetStatus(t.Context(), unknown, app.Status{Commit: hash, State: db.StatusSuccess}),
		"fetch of no id":      errOf(forge.Fetch(t.Context(), unknown, hash, t.TempDir())),
		"heads of no id":      heads,
		"hook of no id":       hook,
		"no hook of no id":    forge.(app.Hooker).RemoveHook(t.Context(), unknown, "https://deploy.example.com/"),
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
	s, _ := start(t)
	for _, tc := range []struct {
		want   string
		change func(*db.Forge)
	}{
		{"the access token is missing", func(r *db.Forge) { r.Credentials.Token = "" }},
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
	row.URL, row.APIURL = row.URL+"/", row.URL+"/api/v1/"
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

// errOf is the error of a fetch.
func errOf(_ db.CommitText, err error) error { return err }
