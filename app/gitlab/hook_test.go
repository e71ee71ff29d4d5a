package gitlab_test

import (
	"net/http"
	"strings"
	"testing"

	"tinyforge/app"
	"tinyforge/app/forgetest"
)

func TestHooksNeedASecret(t *testing.T) {
	s, repo := start(t, forgetest.Options{})
	row := s.Row("forge")
	row.Credentials.WebhookSecret = ""
	forge, err := open(t, row)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := forgetest.EnsureHook(t.Context(), forge.(app.Hooker), repo, address); err == nil || !strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	if hooks := s.Hooks(repo.FullName); len(hooks) != 0 {
		t.Errorf("there are %v", hooks)
	}
}

// Each fault by itself is reason enough to replace a hook.
func TestHooksAreRepaired(t *testing.T) {
	both := []string{"push", "tag_push"}
	for name, hook := range map[string]forgetest.Hook{
		"disabled":        {Secret: "x", Inactive: true, Events: both},
		"no tags":         {Secret: "x", Events: []string{"push"}},
		"no branches":     {Secret: "x", Events: []string{"tag_push"}},
		"too many events": {Secret: "x", Events: append([]string{"pipeline"}, both...)},
		"some branches":   {Secret: "x", Events: both, Filter: "release/*"},
		"any certificate": {Secret: "x", Events: both, Unverified: true},
		"no secret":       {Events: both},
	} {
		s, repo := start(t, forgetest.Options{})
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
		if len(hooks) != 1 || hooks[0].Inactive || hooks[0].Unverified || hooks[0].Filter != "" || len(hooks[0].Events) != 2 ||
			hooks[0].Secret != app.RepositorySecret(s.Row("forge").Credentials.WebhookSecret, repo.ExternalID) {
			t.Errorf("%s: now there are %+v", name, hooks)
		}
	}
}

// A hook that does not sign is of no use to a forge that has a signing token.
func TestHooksThatDoNotSignAreReplaced(t *testing.T) {
	s, repo := start(t, forgetest.Options{Signing: true})
	forge := openServer(t, s).(app.Hooker)
	if _, err := s.AddHook(repo.FullName, forgetest.Hook{URL: address, Secret: "x", Events: []string{"push", "tag_push"}}); err != nil {
		t.Fatal(err)
	}
	if changed, err := forgetest.EnsureHook(t.Context(), forge, repo, address); err != nil || !changed {
		t.Errorf("changed %v, %v", changed, err)
	}
	if hooks := s.Hooks(repo.FullName); len(hooks) != 1 || !strings.HasPrefix(hooks[0].SigningToken, "whsec_") {
		t.Errorf("now there are %+v", hooks)
	}
}

// A GitLab that cannot sign takes the signing token and forgets it. Then there is to be no hook rather than one of which
// every delivery is refused.
func TestSigningNeedsAGitLabThatCan(t *testing.T) {
	s, repo := start(t, forgetest.Options{Signing: true, Unable: true})
	_, err := forgetest.EnsureHook(t.Context(), openServer(t, s).(app.Hooker), repo, address)
	if err == nil || !strings.Contains(err.Error(), "needs GitLab 19.0; leave the signing token out") {
		t.Errorf("got %v", err)
	}
	if hooks := s.Hooks(repo.FullName); len(hooks) != 0 {
		t.Errorf("there are %+v", hooks)
	}
	plain, _ := start(t, forgetest.Options{Unable: true})
	for _, want := range []bool{true, false} {
		if changed, err := forgetest.EnsureHook(t.Context(), openServer(t, plain).(app.Hooker), repo, address); err != nil || changed != want {
			t.Errorf("without a signing token: changed %v, %v", changed, err)
		}
	}
}

// The new hook is there before the old one goes, and what is gone already is no fault.
func TestHooksAreReplacedInOrder(t *testing.T) {
	s, repo := start(t, forgetest.Options{})
	forge := openServer(t, s).(app.Hooker)
	if _, err := s.AddHook(repo.FullName, forgetest.Hook{URL: address, Inactive: true}); err != nil {
		t.Fatal(err)
	}
	var calls []string
	s.Fault(func(r *http.Request) *forgetest.Fault {
		calls = append(calls, r.Method)
		if r.Method == http.MethodDelete {
			return &forgetest.Fault{Status: http.StatusNotFound}
		}
		return nil
	})
	if changed, err := forgetest.EnsureHook(t.Context(), forge, repo, address); err != nil || !changed {
		t.Errorf("changed %v, %v", changed, err)
	}
	if got := strings.Join(calls, " "); got != "GET GET POST GET GET DELETE" {
		t.Errorf("calls: %s", got)
	}
}
