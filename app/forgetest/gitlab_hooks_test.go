package forgetest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	lab "gitlab.com/gitlab-org/api/client-go"
)

func TestGitLabHookAPI(t *testing.T) {
	b := newBench(t, Options{Kind: GitLab}, true)
	c := b.lab(b.token())
	made, answer, err := c.Projects.AddProjectHook(1, &lab.AddProjectHookOptions{URL: &b.hook, Token: lab.Ptr("s"), TagPushEvents: lab.Ptr(true)})
	b.must(err)
	if answer.StatusCode != 201 || !made.PushEvents || !made.TagPushEvents || made.PipelineEvents || !made.EnableSSLVerification || made.AlertStatus != "executable" {
		t.Errorf("made %d %+v", answer.StatusCode, made)
	}
	_, _, err = c.Projects.AddProjectHook(1, &lab.AddProjectHookOptions{URL: &b.hook, PushEvents: lab.Ptr(false)}) // a second one is no matter
	b.must(err)
	if kept := b.Hooks(b.full); len(kept) != 2 || !slices.Equal(kept[0].Events, []string{"push", "tag_push"}) || kept[0].Secret != "s" || len(kept[1].Events) != 0 {
		t.Errorf("kept: %+v", kept)
	}
	for name, test := range map[string]struct {
		ask  map[string]any
		code int
	}{
		"no URL":        {map[string]any{}, 400},
		"wrong URL":     {map[string]any{"url": "ftp://x"}, 422},
		"signing token": {map[string]any{"url": b.hook, "signing_token": "whsec_AAAA"}, 400},
		"unknown key":   {map[string]any{"url": b.hook, "nonsense": true}, 201},
	} {
		if code, body := b.labCall(http.MethodPost, "/projects/1/hooks", test.ask); code != test.code || strings.Contains(body, "AAAA") {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	edited, _, err := c.Projects.EditProjectHook(1, made.ID, &lab.EditProjectHookOptions{URL: &b.hook, TagPushEvents: lab.Ptr(false)})
	b.must(err)
	if kept := b.Hooks(b.full)[0]; edited.TagPushEvents || !edited.PushEvents || kept.Secret != "s" {
		t.Errorf("edited: %+v, kept %+v", edited, kept)
	}
	_, _, err = c.Projects.EditProjectHook(1, made.ID, &lab.EditProjectHookOptions{URL: lab.Ptr(b.hook + "/elsewhere")})
	b.must(err)
	if kept := b.Hooks(b.full)[0]; kept.Secret != "" {
		t.Errorf("another address got the secret: %+v", kept)
	}
	_, err = c.Projects.DeleteProjectHook(1, made.ID)
	b.must(err)
	if answer, err := c.Projects.DeleteProjectHook(1, made.ID); err == nil || answer.StatusCode != 404 {
		t.Errorf("deleted twice: %v", err)
	}
}

// What GitLab shows of a hook's secrets is that they are there, and before 19.0 not even that.
func TestGitLabHookSecrets(t *testing.T) {
	for unable, words := range map[bool][]string{false: {`"token_present":true`, `"signing_token_present":true`}, true: {`"alert_status":"executable"`}} {
		b := newBench(t, Options{Kind: GitLab, Signing: true, Unable: unable}, true)
		signing := b.Row("x").Credentials.SigningToken
		_, body := b.labCall(http.MethodPost, "/projects/1/hooks", map[string]any{"url": b.hook, "token": "the-secret", "signing_token": signing})
		for _, word := range words {
			if !strings.Contains(body, word) || strings.Contains(body, "the-secret") || strings.Contains(body, signing) || strings.Contains(body, "_present") == unable {
				t.Errorf("unable %t: %s", unable, body)
			}
		}
		if kept := b.Hooks(b.full)[0]; (kept.SigningToken == signing) == unable {
			t.Errorf("unable %t: kept %+v", unable, kept)
		}
	}
}

func TestGitLabTestDelivery(t *testing.T) {
	b := newBench(t, Options{Kind: GitLab}, true)
	id, err := b.AddHook(b.full, Hook{URL: b.hook, Secret: "s", Events: []string{"push"}, Inactive: true})
	b.must(err)
	tests := fmt.Sprintf("/projects/1/hooks/%d/test/", id)
	if code, body := b.labCall(http.MethodPost, tests+"push_events", nil); code != 422 {
		t.Errorf("empty: %d %s", code, body)
	}
	b.commit("a", "a", "One")
	last := b.commit("a", "b", "Two")
	if ds := b.push("main"); len(ds) != 0 {
		t.Errorf("a disabled hook delivered %s", events(ds))
	}
	if code, body := b.labCall(http.MethodPost, tests+"nonsense", nil); code != 400 {
		t.Errorf("nonsense: %d %s", code, body)
	}
	if code, body := b.labCall(http.MethodPost, tests+"push_events", nil); code != 201 {
		t.Errorf("test: %d %s", code, body)
	}
	all, err := b.Settle(b.ctx)
	b.must(err)
	if p := decode[gitlabPush](t, string(all[0].Body)); p.After != last || p.Ref != "refs/heads/main" || len(all) != 1 {
		t.Errorf("test delivery: %+v", p)
	}
	if b.Hooks(b.full)[0].Inactive {
		t.Error("a test that arrived did not enable the hook")
	}
}

// The fourth failure in a row disables a hook: for good where the answer says that the hook is wrong, for a while where the
// receiver is in trouble.
func TestGitLabDisablesHooks(t *testing.T) {
	var code atomic.Int32
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(code.Load())) }))
	defer receiver.Close()
	for _, c := range []struct {
		codes string
		sent  int
		state string
	}{
		{"401 401 401 401 202", 4, "disabled"},
		{"503 503 503 503 202", 4, "temporarily_disabled"},
		{"401 401 401 202 401 401 401", 7, "executable"},
		{"401 401 401 503 202", 4, "temporarily_disabled"},
		{"503 503 503 404 202", 4, "disabled"},
	} {
		b := newBench(t, Options{Kind: GitLab}, true)
		_, err := b.AddHook(b.full, Hook{URL: receiver.URL, Secret: "s", Events: []string{"push"}})
		b.must(err)
		sent := 0
		for i, word := range strings.Fields(c.codes) {
			answer := map[string]int32{"202": 202, "401": 401, "404": 404, "503": 503}[word]
			code.Store(answer)
			b.commit("a", fmt.Sprint(i), "Change")
			sent += len(b.push("main"))
		}
		_, body := b.labCall(http.MethodGet, "/projects/1/hooks", nil)
		hook := b.Hooks(b.full)[0]
		if sent != c.sent || !strings.Contains(body, `"alert_status":"`+c.state+`"`) || hook.Inactive != (c.state == "disabled") ||
			hook.DisabledUntil.After(time.Now()) != (c.state == "temporarily_disabled") {
			t.Errorf("%s: %d sent, %s", c.codes, sent, body)
		}
	}
}
