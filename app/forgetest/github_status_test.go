package forgetest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-github/v62/github"
)

func TestGitHubStatuses(t *testing.T) {
	b := newBench(t, Options{Kind: GitHub}, true)
	sha := b.commit("a", "a", "One")
	b.push("main")
	repos := b.client(b.installation()).Repositories
	set := func(sha, state, description string) error {
		_, answer, err := repos.CreateStatus(b.ctx, "acme", "site", sha, &github.RepoStatus{
			State: &state, Description: &description, Context: github.String("tinyforge"), TargetURL: github.String("https://x.example.com/"),
		})
		if err == nil && answer.StatusCode != http.StatusCreated {
			t.Errorf("answer %d", answer.StatusCode)
		}
		return err
	}
	combined, _, err := repos.GetCombinedStatus(b.ctx, "acme", "site", sha, nil)
	b.must(err)
	if combined.GetState() != "pending" || combined.GetTotalCount() != 0 {
		t.Errorf("without a status: %v", combined)
	}
	wantCode(t, set(sha, "pending", "Queued"), 0, "")
	wantCode(t, set(sha, "success", strings.Repeat("ö", 140)), 0, "")
	wantCode(t, set(sha, "success", strings.Repeat("ö", 141)), 422, "description is too long (maximum is 140 characters)")
	wantCode(t, set(sha, "running", ""), 422, "state is not included")
	wantCode(t, set(zeroID, "success", ""), 422, "No commit found for SHA: "+zeroID)
	wantCode(t, set(sha[:12], "success", ""), 422, "No commit found")
	wantCode(t, set("main", "success", ""), 422, "No commit found")
	combined, _, err = repos.GetCombinedStatus(b.ctx, "acme", "site", "main", nil)
	b.must(err)
	if combined.GetState() != "success" || combined.GetTotalCount() != 1 || combined.GetSHA() != sha {
		t.Errorf("combined: %v", combined)
	}
	list, _, err := repos.ListStatuses(b.ctx, "acme", "site", sha, nil)
	b.must(err)
	if len(list) != 2 || list[0].GetState() != "success" || list[1].GetDescription() != "Queued" {
		t.Errorf("list: %v", list)
	}
	b.must(b.Archive(b.full))
	wantCode(t, set(sha, "success", ""), 403, "archived")
	kept := b.Statuses(b.full, sha)
	if len(kept) != 2 || kept[0].State != "pending" || kept[1].Context != "tinyforge" || kept[1].TargetURL != "https://x.example.com/" || kept[0].At.IsZero() {
		t.Errorf("kept: %+v", kept)
	}
}

func TestGitHubStatusLimit(t *testing.T) {
	b := newBench(t, Options{Kind: GitHub}, true)
	sha := b.commit("a", "a", "One")
	b.push("main")
	r, err := b.Repository(b.full)
	b.must(err)
	for range 1000 {
		b.addStatus(r, Status{Commit: sha, Context: "tinyforge", State: "pending"})
	}
	status := &github.RepoStatus{State: github.String("success"), Context: github.String("tinyforge")}
	_, _, err = b.client(b.installation()).Repositories.CreateStatus(b.ctx, "acme", "site", sha, status)
	wantCode(t, err, 422, "maximum number of statuses")
	status.Context = github.String("other")
	_, _, err = b.client(b.installation()).Repositories.CreateStatus(b.ctx, "acme", "site", sha, status)
	wantCode(t, err, 0, "")
}

func TestGitHubStatusRights(t *testing.T) {
	b := newBench(t, Options{Kind: GitHub}, true)
	sha := b.commit("a", "a", "One")
	b.push("main")
	stranger, err := b.CreateRepository("other/thing", false)
	b.must(err)
	post := func(token string) (int, string) {
		code, body, _ := call(t, http.MethodPost, b.APIURL()+"repos/"+b.full+"/statuses/"+sha, token, map[string]string{"state": "success"})
		return code, body
	}
	token := func(id int64) string {
		tok, _, err := b.client(0).Apps.CreateInstallationToken(b.ctx, id, nil)
		b.must(err)
		return tok.GetToken()
	}
	others, own := token(stranger.Installation), token(b.installation())
	for name, c := range map[string]struct {
		private bool
		token   string
		code    int
	}{
		"private, nobody": {true, "", 404}, "private, stranger": {true, others, 404}, "private, bad token": {true, "ghs_x", 401},
		"private, own": {true, own, 201}, "public, nobody": {false, "", 401}, "public, stranger": {false, others, 403},
	} {
		b.must(b.SetPrivate(b.full, c.private))
		if code, body := post(c.token); code != c.code {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	b.must(b.RemoveRepository(b.full))
	b.must(b.SetPrivate(b.full, true))
	if code, body := post(own); code != 404 {
		t.Errorf("after the app lost the repository: %d %s", code, body)
	}
}
