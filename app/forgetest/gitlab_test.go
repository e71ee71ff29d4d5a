package forgetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	lab "gitlab.com/gitlab-org/api/client-go"
)

// lab is the SDK as it is used in earnest.
func (b *bench) lab(token string) *lab.Client {
	b.t.Helper()
	c, err := lab.NewClient(token, lab.WithBaseURL(b.APIURL()), lab.WithoutRetries())
	b.must(err)
	return c
}

func TestGitLabCredentials(t *testing.T) {
	b := newBench(t, Options{Kind: GitLab}, true)
	sha := b.commit("a", "a", "One")
	b.push("main")
	post, hooks := http.MethodPost+" /projects/1/statuses/"+sha, "GET /projects/1/hooks"
	for _, c := range []struct {
		ask    string
		access *Access // nil: no token
		code   int
		words  string
	}{
		{post, nil, 401, "401 Unauthorized"},
		{post, &Access{Scopes: []string{"api"}, Right: Write}, 201, `"status":"success"`},
		{post, &Access{Scopes: []string{"read_api"}}, 403, "insufficient_scope"},
		{post, &Access{Scopes: []string{"api"}, Right: Read}, 403, "403 Forbidden"},
		{post, &Access{Scopes: []string{"api"}, Right: Anonymous}, 404, "404 Project Not Found"},
		{hooks, &Access{Scopes: []string{"api"}, Right: Write}, 403, "403 Forbidden"},
		{hooks, &Access{Scopes: []string{"read_api"}}, 200, "[]"},
		{"GET /projects/1", nil, 404, "404 Project Not Found"},
		{"GET /projects/1", &Access{Scopes: []string{"read_api"}, Right: Read}, 200, `"path_with_namespace":"acme/site"`},
		{"GET /projects/acme%2Fsite", &Access{Scopes: []string{"api"}}, 200, `"access_level":40`},
		{"GET /projects/acme/site", &Access{Scopes: []string{"api"}}, 404, "404 Not Found"},
		{"GET /projects/99", &Access{Scopes: []string{"api"}}, 404, "404 Project Not Found"},
		{"GET /nothing", &Access{Scopes: []string{"api"}}, 404, "404 Not Found"},
	} {
		token := ""
		if c.access != nil {
			token = b.NewToken(*c.access)
		}
		method, path, _ := strings.Cut(c.ask, " ")
		req, err := http.NewRequestWithContext(b.ctx, method, b.APIURL()+"/api/v4"+path, strings.NewReader(`{"state":"success"}`))
		b.must(err)
		if token != "" {
			req.Header.Set("Private-Token", token)
		}
		if code, body, _ := do(t, req); code != c.code || !strings.Contains(body, c.words) {
			t.Errorf("%s with %+v: %d %s", c.ask, c.access, code, body)
		}
		req.Header.Del("Private-Token")
		req.Header.Set("Authorization", "Bearer wrong")
		if code, body, _ := do(t, req); c.ask != "GET /nothing" && !strings.Contains(c.ask, "acme/site") && (code != 401 || !strings.Contains(body, "401 Unauthorized")) {
			t.Errorf("%s with a wrong token: %d %s", c.ask, code, body)
		}
	}
	b.must(b.SetPrivate(b.full, false))
	if code, body, _ := get(t, b.APIURL()+"/api/v4/projects/1", ""); code != 200 || !strings.Contains(body, `"visibility":"public"`) {
		t.Errorf("a public project to nobody: %d %s", code, body)
	}
}

func TestGitLabGitCredentials(t *testing.T) {
	b := newBench(t, Options{Kind: GitLab}, true)
	b.commit("a", "a", "One")
	b.push("main")
	reader := b.NewToken(Access{Scopes: []string{"api"}, Right: Read})
	for name, c := range map[string]struct {
		user, password, service string
		code                    int
	}{
		"nobody":          {"", "", uploadPack, 401},
		"token":           {"oauth2", b.token(), uploadPack, 200},
		"token as user":   {b.token(), "", uploadPack, 401},
		"wrong token":     {"oauth2", "wrong", uploadPack, 401},
		"wrong scope":     {"oauth2", b.NewToken(Access{Scopes: []string{"read_api"}}), uploadPack, 403},
		"reading":         {"oauth2", b.NewToken(Access{Scopes: []string{"read_repository"}}), uploadPack, 200},
		"reading, pushes": {"oauth2", b.NewToken(Access{Scopes: []string{"read_repository"}}), receivePack, 403},
		"no right":        {"oauth2", b.NewToken(Access{Scopes: []string{"api"}, Right: Anonymous}), uploadPack, 404},
		"token pushes":    {"oauth2", b.token(), receivePack, 200},
		"reader reads":    {"oauth2", reader, uploadPack, 200},
		"reader pushes":   {"oauth2", reader, receivePack, 403},
		"developer":       {Developer, b.password, receivePack, 200},
	} {
		if code := b.info(b.full, c.service, c.user, c.password); code != c.code {
			t.Errorf("%s: %d, want %d", name, code, c.code)
		}
	}
}

func TestGitLabStatuses(t *testing.T) {
	b := newBench(t, Options{Kind: GitLab}, true)
	sha := b.commit("a", "a", "One")
	b.push("main")
	c := b.lab(b.token())
	const again = `Cannot transition status via :%s from :%s (Reason(s): Status cannot transition via "%s")`
	ids := map[int64]bool{}
	for i, step := range []struct {
		state   lab.BuildStateValue
		refusal string
		sum     int // of statuses so far
	}{
		{lab.Pending, "", 1},
		{lab.Pending, fmt.Sprintf(again, "enqueue", "pending", "enqueue"), 1},
		{lab.Running, "", 1},
		{lab.Running, fmt.Sprintf(again, "run", "running", "run"), 1},
		{lab.Pending, fmt.Sprintf(again, "enqueue", "running", "enqueue"), 1},
		{lab.Failed, "", 1},
		{lab.Failed, "", 2},
		{lab.Pending, "", 3},
		{lab.Success, "", 3},
		{"failure", "state does not have a valid value", 3},
		{"error", "state does not have a valid value", 3},
	} {
		st, answer, err := c.Commits.SetCommitStatus("acme/site", sha, &lab.SetCommitStatusOptions{State: step.state, Name: lab.Ptr("tinyforge")})
		switch {
		case step.refusal != "":
			if err == nil || answer.StatusCode != 400 || !strings.Contains(err.Error(), step.refusal) {
				t.Errorf("step %d, %s: %v", i, step.state, err)
			}
		case err != nil || answer.StatusCode != 201 || st.Status != string(step.state) || st.Name != "tinyforge":
			t.Errorf("step %d, %s: %+v, %v", i, step.state, st, err)
		default:
			ids[st.ID] = true
		}
		if len(ids) != step.sum {
			t.Errorf("step %d, %s: %d statuses, want %d", i, step.state, len(ids), step.sum)
		}
	}
	list, _, err := c.Commits.GetCommitStatuses("acme/site", sha, &lab.GetCommitStatusesOptions{})
	b.must(err)
	if len(list) != 1 || list[0].Status != "success" || list[0].Ref != "main" {
		t.Errorf("list: %+v", list)
	}
	all, _, err := c.Commits.GetCommitStatuses("acme/site", sha, &lab.GetCommitStatusesOptions{All: lab.Ptr(true)})
	b.must(err)
	if len(all) != 3 {
		t.Errorf("all: %+v", all)
	}
	if posted := b.Statuses(b.full, sha); posted[2].State != "failure" {
		t.Errorf("posted: %+v", posted)
	}
}

func TestGitLabStatusRefusals(t *testing.T) {
	b := newBench(t, Options{Kind: GitLab}, true)
	sha := b.commit("a", "a", "One")
	b.push("main")
	tagged := b.commit("a", "b", "Only tagged")
	b.push("HEAD:refs/tags/v1")
	long := strings.Repeat("ü", 256)
	for name, c := range map[string]struct {
		sha, field, value string
		code              int
		words             string
	}{
		"unknown":          {strings.Repeat("a", 40), "", "", 404, "404 Commit Not Found"},
		"on no branch":     {tagged, "", "", 404, "404 References for commit Not Found"},
		"long description": {sha, "description", long, 400, "is too long (maximum is 255 characters)"},
		"long link":        {sha, "target_url", long, 400, "is too long (maximum is 255 characters)"},
		"255":              {sha, "description", long[2:], 201, `"status":"success"`},
		"no name":          {sha, "", "", 201, `"name":"default"`},
		"context":          {sha, "context", "x", 201, `"name":"x"`},
	} {
		ask := map[string]string{"state": "success"}
		if c.field != "" {
			ask[c.field] = c.value
		}
		code, body := b.labCall(http.MethodPost, "/projects/1/statuses/"+c.sha, ask)
		if code != c.code || !strings.Contains(body, c.words) {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	b.must(b.Archive(b.full))
	if code, body := b.labCall(http.MethodPost, "/projects/1/statuses/"+sha, map[string]string{"state": "success"}); code != 403 {
		t.Errorf("archive: %d %s", code, body)
	}
}

// labCall asks with the token of the row.
func (b *bench) labCall(method, path string, body any) (code int, answer string) {
	b.t.Helper()
	text, err := json.Marshal(body)
	b.must(err)
	req, err := http.NewRequestWithContext(b.ctx, method, b.APIURL()+"/api/v4"+path, bytes.NewReader(text))
	b.must(err)
	req.Header.Set("Authorization", "Bearer "+b.token())
	code, answer, _ = do(b.t, req)
	return code, answer
}

func TestGitLabLists(t *testing.T) {
	b := newBench(t, Options{Kind: GitLab}, true)
	for i := range 120 {
		_, err := b.CreateRepository(fmt.Sprintf("other/tools/r%d", i), i%2 == 0)
		b.must(err)
	}
	c := b.lab(b.token())
	options := &lab.ListProjectsOptions{
		ListOptions: lab.ListOptions{PerPage: 100, Pagination: "keyset", OrderBy: "id", Sort: "asc"}, Membership: lab.Ptr(true),
	}
	mine, answer, err := c.Projects.ListProjects(options)
	b.must(err)
	if len(mine) != 100 || !strings.Contains(answer.NextLink, "id_after=100") || mine[0].PathWithNamespace != "acme/site" {
		t.Errorf("%d projects, next %q", len(mine), answer.NextLink)
	}
	next, more := lab.WithNext(answer)
	rest, answer, err := c.Projects.ListProjects(options, next)
	b.must(err)
	if !more || len(rest) != 21 || answer.NextLink != "" || rest[20].PathWithNamespace != "other/tools/r119" || rest[20].Visibility != lab.PublicVisibility {
		t.Errorf("last page: %d projects, next %q", len(rest), answer.NextLink)
	}
	numbered, answer, err := c.Projects.ListProjects(&lab.ListProjectsOptions{ListOptions: lab.ListOptions{Page: 7}})
	b.must(err)
	if len(numbered) != 1 || answer.TotalItems != 121 || answer.NextPage != 0 || numbered[0].ID != 1 {
		t.Errorf("by number: %d projects, next page %d", len(numbered), answer.NextPage)
	}
	if code, body := b.labCall(http.MethodGet, "/projects?pagination=keyset", nil); code != 405 {
		t.Errorf("keyset by nothing: %d %s", code, body)
	}
	for right, want := range map[Right]int{Admin: 100, Write: 0, Anonymous: 0} {
		client := b.lab(b.NewToken(Access{Scopes: []string{"api"}, Right: right}))
		options.MinAccessLevel = lab.Ptr(lab.MaintainerPermissions)
		if list, _, err := client.Projects.ListProjects(options); err != nil || len(list) != want {
			t.Errorf("right %d: %d, %v", right, len(list), err)
		}
	}
}

func TestGitLabRename(t *testing.T) {
	b := newBench(t, Options{Kind: GitLab}, true)
	b.commit("a", "a", "One")
	b.push("main")
	former := b.PushURL(b.full)
	b.must(b.Rename(b.full, "acme/tools/renamed"))
	if _, err := b.git.run(b.ctx, "", nil, "clone", "--quiet", former, filepath.Join(t.TempDir(), "x")); err != nil {
		t.Errorf("clone by the former name: %v", err)
	}
	if p, _, err := b.lab(b.token()).Projects.GetProject(1, nil); err != nil || p.PathWithNamespace != "acme/tools/renamed" || p.Path != "renamed" {
		t.Errorf("project %+v, %v", p, err)
	}
}
