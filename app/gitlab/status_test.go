package gitlab_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tinyforge/app"
	"tinyforge/app/forgetest"
	"tinyforge/db"
)

func set(t *testing.T, forge app.Forge, repo db.Repository, commit string, states ...db.Status) {
	t.Helper()
	for _, state := range states {
		if err := forge.SetStatus(t.Context(), repo, app.Status{Commit: commit, State: state, Description: string(state)}); err != nil {
			t.Errorf("%s: %v", state, err)
		}
	}
}

// states lists what is there now: the id tells one status that has changed from another one.
func states(s *forgetest.Server, repo db.Repository, commit string) string {
	var all []string
	first := int64(0)
	for _, st := range s.Statuses(repo.FullName, commit) {
		if first == 0 {
			first = st.ID
		}
		all = append(all, fmt.Sprintf("%d:%s", st.ID-first, st.State))
	}
	return strings.Join(all, " ")
}

func TestStatusTransitions(t *testing.T) {
	for want, sent := range map[string][]db.Status{
		"0:pending":           {db.StatusPending, db.StatusPending, db.StatusPending},
		"0:pending 0:success": {db.StatusPending, db.StatusPending, db.StatusSuccess},
		"0:pending 0:failure 1:pending 1:success": {db.StatusPending, db.StatusFailure, db.StatusPending, db.StatusSuccess},
		"0:success 1:failure":                     {db.StatusSuccess, db.StatusFailure},
		"0:success 1:success":                     {db.StatusSuccess, db.StatusSuccess},
	} {
		s, repo := start(t, forgetest.Options{})
		commit := commitTo(t, s, "acme/site", "one")
		set(t, openServer(t, s), repo, commit, sent...)
		if got := states(s, repo, commit); got != want {
			t.Errorf("%v: %s, want %s", sent, got, want)
		}
	}
}

// A state that GitLab has already is a success. Which one it has is in its text; nothing of that is passed on.
func TestStatusRefusals(t *testing.T) {
	s, repo := start(t, forgetest.Options{})
	forge := openServer(t, s)
	const reason = ` (Reason(s): Status cannot transition via \"enqueue\")`
	for _, tc := range []struct {
		state db.Status
		code  int
		body  string
		want  int // 0 is no error
	}{
		{db.StatusPending, 400, `{"message":"Cannot transition status via :enqueue from :pending` + reason + `"}`, 0},
		{db.StatusPending, 400, `{"message":"Cannot transition status via :enqueue from :running` + reason + `"}`, 0},
		{db.StatusSuccess, 400, `{"message":"Cannot transition status via :success from :success` + reason + `"}`, 0},
		{db.StatusFailure, 400, `{"message":"Cannot transition status via :drop from :failed` + reason + `"}`, 0},
		{db.StatusFailure, 400, `{"message":"Cannot transition status via :drop from :success` + reason + `"}`, 400},
		{db.StatusSuccess, 400, `{"message":"Cannot transition status via :success from :running` + reason + `"}`, 400},
		{db.StatusPending, 400, `{"message":"Cannot transition status via :enqueue from :canceled` + reason + `"}`, 400},
		{db.StatusPending, 400, `{"message":{"description":["is too long"]}}`, 400},
		{db.StatusPending, 400, `Cannot transition`, 400},
		{db.StatusPending, 400, ``, 400},
		{db.StatusPending, 409, `{"message":"Cannot transition status via :enqueue from :pending` + reason + `"}`, 409},
		{db.StatusPending, 500, `{"message":"Cannot transition status via :enqueue from :pending` + reason + `"}`, 500},
		{db.StatusPending, 200, `{}`, 200},
	} {
		s.Fault(func(*http.Request) *forgetest.Fault {
			return &forgetest.Fault{Status: tc.code, Body: tc.body, Reflect: tc.want != 0}
		})
		err := forge.SetStatus(t.Context(), repo, app.Status{Commit: hash, State: tc.state})
		if tc.want == 0 {
			if err != nil {
				t.Errorf("%s, %d %s: %v", tc.state, tc.code, tc.body, err)
			}
			continue
		}
		wantStatus(t, err, tc.want)
		text := fmt.Sprintf("%+v %#v", err, err)
		if strings.Contains(text, "transition") || strings.Contains(text, s.Row("forge").Credentials.Token) {
			t.Errorf("the error holds what the forge answered: %s", text)
		}
		if status, ok := errors.AsType[*app.StatusError](err); ok && status.Permanent() != (tc.want == 400) {
			t.Errorf("%d: permanent is %v", tc.code, status.Permanent())
		}
	}
}

// GitLab has no place for the status of a commit that no branch holds.
func TestStatusOfWhatNoBranchHolds(t *testing.T) {
	s, repo := start(t, forgetest.Options{})
	commitTo(t, s, "acme/site", "one")
	work, err := s.Clone(t.Context(), "acme/site", t.TempDir()+"/tagged")
	if err != nil {
		t.Fatal(err)
	}
	commit, err := work.Commit(t.Context(), "Only tagged")
	if err != nil {
		t.Fatal(err)
	}
	if err := work.Push(t.Context(), "HEAD:refs/tags/v1"); err != nil {
		t.Fatal(err)
	}
	err = openServer(t, s).SetStatus(t.Context(), repo, app.Status{Commit: commit, State: db.StatusSuccess})
	wantStatus(t, err, http.StatusNotFound)
}

// What is too long for GitLab is cut, and a link is left out.
func TestStatusTexts(t *testing.T) {
	s, repo := start(t, forgetest.Options{})
	forge, commit := openServer(t, s), commitTo(t, s, "acme/site", "one")
	link := "https://deploy.example.com/" + strings.Repeat("d", 228)
	for _, target := range []string{link, link + "d"} {
		err := forge.SetStatus(t.Context(), repo, app.Status{
			Commit: commit, State: db.StatusSuccess, Description: strings.Repeat("ü", 256), TargetURL: target,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	all := s.Statuses(repo.FullName, commit)
	if len(all) != 2 || all[0].Description != strings.Repeat("ü", 254)+"…" || all[0].TargetURL != link || all[1].TargetURL != "" {
		t.Errorf("there are %+v", all)
	}
}
