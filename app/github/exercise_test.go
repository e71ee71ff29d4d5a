package github_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"tinyforge/app"
	"tinyforge/app/forgetest"
	"tinyforge/app/github"
	"tinyforge/db"
)

// open opens a row as Forges does, with GitHub's ids of installations as the rows' own.
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
	return github.New(row, app.Access{
		Client: client, Git: git,
		Installation: func(_ context.Context, id int64) (db.Installation, error) {
			return db.Installation{ID: id, ExternalID: id}, nil
		},
	})
}

func openServer(t *testing.T, s *forgetest.Server) app.Forge {
	t.Helper()
	forge, err := open(t, s.Row("forge"))
	if err != nil {
		t.Fatal(err)
	}
	return forge
}

func TestExercise(t *testing.T) { forgetest.Exercise(t, openServer, forgetest.GitHub) }

// start returns a forge with one repository and one commit in it.
func start(t *testing.T) (s *forgetest.Server, repo db.Repository, commit string) {
	t.Helper()
	s, err := forgetest.Start(forgetest.Options{Kind: forgetest.GitHub})
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
	work, err := s.Clone(t.Context(), r.FullName, t.TempDir()+"/work")
	if err != nil {
		t.Fatal(err)
	}
	if err := work.Write("index.html", "one\n", 0); err != nil {
		t.Fatal(err)
	}
	if commit, err = work.Commit(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	if err := work.Push(t.Context(), "main"); err != nil {
		t.Fatal(err)
	}
	return s, r.Row(), commit
}

func TestDefaultAPIURL(t *testing.T) {
	s, repo, commit := start(t)
	row := s.Row("forge")
	row.APIURL = "" // GitHub Enterprise has it below /api/v3
	forge, err := open(t, row)
	if err != nil {
		t.Fatal(err)
	}
	if err := forge.SetStatus(t.Context(), repo, app.Status{Commit: commit, State: db.StatusSuccess}); err != nil {
		t.Error(err)
	}
}

func TestTokensAreReusedAndRenewed(t *testing.T) {
	s, repo, commit := start(t)
	forge := openServer(t, s)
	asked := 0
	s.Fault(func(r *http.Request) *forgetest.Fault {
		if r.Method == http.MethodPost && !strings.HasSuffix(r.URL.Path, "/statuses/"+commit) {
			asked++
		}
		return nil
	})
	set := func() {
		t.Helper()
		if err := forge.SetStatus(t.Context(), repo, app.Status{Commit: commit, State: db.StatusPending}); err != nil {
			t.Fatal(err)
		}
	}
	set()
	set()
	if asked != 1 {
		t.Errorf("%d tokens were asked for, want 1", asked)
	}
	s.ExpireTokens() // ours believes that it is good for an hour
	set()
	if asked != 2 {
		t.Errorf("%d tokens were asked for, want 2", asked)
	}
	s.ExpireTokens()
	if _, err := forge.Fetch(t.Context(), repo, commit, t.TempDir()); err != nil {
		t.Errorf("fetch with a dead token: %v", err)
	}
	s.ExpireTokens()
	if heads, err := forge.Heads(t.Context(), repo); err != nil || heads["refs/heads/main"] != commit {
		t.Errorf("heads with a dead token: %v, %v", heads, err)
	}
}

// TestNobodyWaitsForAnothersToken: who gives up while somebody else asks a forge that does not answer is let go.
func TestNobodyWaitsForAnothersToken(t *testing.T) {
	s, repo, commit := start(t)
	forge := openServer(t, s)
	asked := make(chan struct{}, 1)
	s.Fault(func(*http.Request) *forgetest.Fault {
		asked <- struct{}{}
		return &forgetest.Fault{Silent: true}
	})
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := forge.Fetch(ctx, repo, commit, t.TempDir())
		first <- err
	}()
	<-asked
	gone, leave := context.WithCancel(t.Context())
	leave()
	for range 3 {
		if err := forge.SetStatus(gone, repo, app.Status{Commit: commit, State: db.StatusPending}); !errors.Is(err, context.Canceled) {
			t.Errorf("a status was set with a call that is over: %v", err)
		}
	}
	select {
	case err := <-first:
		t.Errorf("the first ended before: %v", err)
	default:
	}
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the first ended with %v", err)
	}
}

func TestSuspension(t *testing.T) {
	s, repo, commit := start(t)
	forge := openServer(t, s)
	if err := s.Suspend("acme"); err != nil {
		t.Fatal(err)
	}
	checkStatus(t, forge.SetStatus(t.Context(), repo, app.Status{Commit: commit, State: db.StatusPending}), 403, 0)
	for r, err := range forge.Repositories(t.Context()) {
		t.Errorf("a suspended installation shows %v, %v", r, err)
	}
	if err := s.Unsuspend("acme"); err != nil {
		t.Fatal(err)
	}
	if err := forge.SetStatus(t.Context(), repo, app.Status{Commit: commit, State: db.StatusPending}); err != nil {
		t.Error(err)
	}
}

func TestRateLimits(t *testing.T) {
	reset := time.Now().Add(10 * time.Minute)
	for name, tc := range map[string]struct {
		fault forgetest.Fault
		code  int
		wait  time.Duration
	}{
		"primary": {forgetest.Fault{Status: 403, Header: http.Header{
			"X-Ratelimit-Limit": {"5000"}, "X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {unix(reset)},
		}}, 403, 10 * time.Minute},
		"primary as 429": {forgetest.Fault{Status: 429, Header: http.Header{
			"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {unix(reset)},
		}}, 429, 10 * time.Minute},
		"secondary": {forgetest.Fault{Status: 403, Header: http.Header{"Retry-After": {"60"}},
			Body: `{"message":"secondary","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`},
			403, time.Minute},
		"secondary without a time": {forgetest.Fault{Status: 403,
			Body: `{"message":"secondary","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`},
			403, time.Minute},
		"absurd": {forgetest.Fault{Status: 429, Header: http.Header{"Retry-After": {"31536000"}}}, 429, time.Hour},
		"none":   {forgetest.Fault{Status: 403}, 403, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, repo, commit := start(t)
			forge := openServer(t, s)
			set := func() error {
				return forge.SetStatus(t.Context(), repo, app.Status{Commit: commit, State: db.StatusPending})
			}
			s.Fault(func(r *http.Request) *forgetest.Fault {
				if strings.HasSuffix(r.URL.Path, "/statuses/"+commit) {
					return &tc.fault
				}
				return nil
			})
			checkStatus(t, set(), tc.code, tc.wait)
			if name == "primary" {
				s.Fault(nil)
				checkStatus(t, set(), 403, tc.wait) // known without asking
			}
		})
		t.Run(name+" on the token", func(t *testing.T) {
			s, repo, commit := start(t)
			s.Fault(func(*http.Request) *forgetest.Fault { return &tc.fault })
			wait := tc.wait
			if name == "secondary without a time" {
				wait = 0 // ghinstallation does not look at the body
			}
			checkStatus(t, errOf(openServer(t, s).Fetch(t.Context(), repo, commit, t.TempDir())), tc.code, wait)
		})
	}
}

// "too long" is 141 characters to GitHub, whatever their bytes.
func TestDescriptionIsCut(t *testing.T) {
	s, repo, commit := start(t)
	long := ""
	for range 200 {
		long += "ü"
	}
	err := openServer(t, s).SetStatus(t.Context(), repo, app.Status{Commit: commit, State: db.StatusFailure, Description: long})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Statuses("acme/site", commit)[0].Description; len([]rune(got)) != 140 {
		t.Errorf("%d characters", len([]rune(got)))
	}
}

// Answers that are no usable JSON end in an error, not in a crash.
func TestNonsense(t *testing.T) {
	for _, body := range []string{"", "null", "{}", "[]", "[null]", `{"token":null}`, `{"token":"x"}`, `{"token":"x","expires_at":"secret"}`, "secret", `{"repositories":[null]}`} {
		s, repo, commit := start(t)
		forge := openServer(t, s)
		s.Fault(func(*http.Request) *forgetest.Fault { return &forgetest.Fault{Status: 201, Body: body} })
		for name, err := range map[string]error{
			"status": forge.SetStatus(t.Context(), repo, app.Status{Commit: commit, State: db.StatusPending}),
			"fetch":  errOf(forge.Fetch(t.Context(), repo, commit, t.TempDir())),
		} {
			if err == nil || !strings.HasSuffix(err.Error(), ": the forge's answer could not be understood") {
				t.Errorf("%s of %q: %v", name, body, err)
			}
		}
		for r, err := range forge.Repositories(t.Context()) {
			if err == nil {
				t.Errorf("repositories of %q: %v", body, r)
			}
		}
	}
}

func TestWhatCannotWork(t *testing.T) {
	s, repo, commit := start(t)
	forge := openServer(t, s)
	nowhere, nameless := repo, repo
	nowhere.InstallationID = 0
	nameless.FullName, nameless.ExternalID = "../../app", 0
	for name, err := range map[string]error{
		"status without installation": forge.SetStatus(t.Context(), nowhere, app.Status{Commit: commit}),
		"fetch without installation":  errOf(forge.Fetch(t.Context(), nowhere, commit, t.TempDir())),
		"status of no name":           forge.SetStatus(t.Context(), nameless, app.Status{Commit: commit}),
		"fetch of no name":            errOf(forge.Fetch(t.Context(), nameless, commit, t.TempDir())),
		"status of no commit":         forge.SetStatus(t.Context(), repo, app.Status{Commit: "main"}),
		"fetch of no commit":          errOf(forge.Fetch(t.Context(), repo, "main", t.TempDir())),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	s, _, _ := start(t)
	for _, tc := range []struct {
		want   string
		change func(*db.Forge)
	}{
		{"the id of the GitHub App is missing", func(r *db.Forge) { r.AppID = 0 }},
		{"the private key of the GitHub App is missing", func(r *db.Forge) { r.Credentials.PrivateKey = "" }},
		{"not an RSA key in PEM format", func(r *db.Forge) { r.Credentials.PrivateKey = "secret" }},
		{"https://HOST/api/v3", func(r *db.Forge) { r.APIURL = "forge.example" }},
		{"https://HOST/api/v3", func(r *db.Forge) { r.APIURL = "https://u:secret@forge.example" }},
	} {
		row := s.Row("forge")
		tc.change(&row)
		if _, err := open(t, row); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
	row := s.Row("forge")
	row.URL, row.APIURL = "", "" // github.com
	if _, err := open(t, row); err != nil {
		t.Error(err)
	}
}

// errOf is the error of a fetch.
func errOf(_ db.CommitText, err error) error { return err }
