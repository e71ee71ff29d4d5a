package forgetest

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	sdk "code.gitea.io/sdk/gitea"
)

// sdk is the SDK as it is used in earnest.
func (b *bench) sdk(token string) *sdk.Client {
	b.t.Helper()
	c, err := sdk.NewClient(b.APIURL(), sdk.SetGiteaVersion(""), sdk.SetToken(token), sdk.SetHTTPClient(&http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}))
	b.must(err)
	return c
}

func (b *bench) token() string { return b.Row("x").Credentials.Token }

func TestGiteaVersion(t *testing.T) {
	for want, o := range map[string]Options{
		"1.26.4": {Kind: Gitea}, "15.0.0+gitea-1.22.0": {Kind: Gitea, Forgejo: true},
	} {
		b := newBench(t, o, true)
		c, err := sdk.NewClient(b.APIURL(), sdk.SetToken(b.token()))
		b.must(err)
		if v, _, err := c.ServerVersion(); err != nil || v != want {
			t.Errorf("version %q, want %q: %v", v, want, err)
		}
		if code, body, _ := get(t, b.APIURL()+"/api/v1/version", "wrong"); code != 401 || !strings.Contains(body, "invalid username, password or token") {
			t.Errorf("a bad token: %d %s", code, body)
		}
	}
}

func TestGiteaCredentials(t *testing.T) {
	b := newBench(t, Options{Kind: Gitea}, true)
	sha := b.commit("a", "a", "One")
	b.push("main")
	post := http.MethodPost + " /repos/acme/site/statuses/" + sha
	hooks := http.MethodGet + " /repos/acme/site/hooks"
	for _, c := range []struct {
		ask    string
		access *Access // nil: no token
		code   int
		words  string
	}{
		{post, nil, 404, "not found"},
		{post, &Access{Scopes: []string{"write:repository"}, Right: Write}, 201, ""},
		{post, &Access{Scopes: []string{"all"}}, 201, ""},
		{post, &Access{Scopes: []string{"read:repository"}}, 403, "required=[write:repository], token scope=read:repository"},
		{post, &Access{Scopes: []string{"write:repository"}, Right: Read}, 403, "permission to write"},
		{post, &Access{Scopes: []string{"write:repository"}, Right: Anonymous}, 404, "not found"},
		{hooks, &Access{Scopes: []string{"write:repository"}, Right: Write}, 403, "admin write"},
		{hooks, &Access{Scopes: []string{"read:repository"}}, 200, "[]"},
		{"GET /user/repos", nil, 401, "token is required"},
		{"GET /user/repos", &Access{Scopes: []string{"write:repository"}}, 403, "read:user"},
		{"GET /user/repos", &Access{Scopes: []string{"read:repository", "read:user"}}, 200, "acme/site"},
		{"GET /repos/search", nil, 200, `"data":[]`},
		{"GET /repos/search", &Access{Scopes: []string{"read:repository"}}, 200, "acme/site"},
		{"GET /repos/acme/nothing", &Access{Scopes: []string{"all"}}, 404, "not found"},
		{"GET /nothing", &Access{Scopes: []string{"all"}}, 404, "not found"},
	} {
		token := ""
		if c.access != nil {
			token = b.NewToken(*c.access)
		}
		method, path, _ := strings.Cut(c.ask, " ")
		code, body, _ := call(t, method, b.APIURL()+"/api/v1"+path, token, map[string]string{"state": "success"})
		if code != c.code || !strings.Contains(body, c.words) {
			t.Errorf("%s with %+v: %d %s", c.ask, c.access, code, body)
		}
	}
	b.must(b.SetPrivate(b.full, false))
	if code, _, _ := call(t, http.MethodPost, b.APIURL()+"/api/v1/repos/acme/site/statuses/"+sha, "", nil); code != 401 {
		t.Errorf("a status by nobody on a public repository: %d", code)
	}
}

func TestGiteaGitCredentials(t *testing.T) {
	b := newBench(t, Options{Kind: Gitea}, true)
	b.commit("a", "a", "One")
	b.push("main")
	wrongScope := b.NewToken(Access{Scopes: []string{"read:user"}})
	stranger := b.NewToken(Access{Scopes: []string{"read:repository"}, Right: Anonymous})
	reader := b.NewToken(Access{Scopes: []string{"write:repository"}, Right: Read})
	for name, c := range map[string]struct {
		user, password, service string
		code                    int
	}{
		"nobody":            {"", "", uploadPack, 401},
		"token as password": {"anybody", b.token(), uploadPack, 200},
		"token as user":     {b.token(), "", uploadPack, 200},
		"wrong token":       {"anybody", "wrong", uploadPack, 401},
		"wrong scope":       {"anybody", wrongScope, uploadPack, 403},
		"no right":          {"anybody", stranger, uploadPack, 404},
		"token pushes":      {"anybody", b.token(), receivePack, 200},
		"reader reads":      {"anybody", reader, uploadPack, 200},
		"reader pushes":     {"anybody", reader, receivePack, 403},
		"developer":         {Developer, b.password, receivePack, 200},
	} {
		if code := b.info(b.full, c.service, c.user, c.password); code != c.code {
			t.Errorf("%s: %d, want %d", name, code, c.code)
		}
	}
	extra := "http.extraHeader=Authorization: token " + b.token()
	if _, err := b.git.run(b.ctx, "", nil, "-c", extra, "clone", "--quiet", b.URL()+"/acme/site.git", filepath.Join(t.TempDir(), "x")); err != nil {
		t.Errorf("token in a header: %v", err)
	}
}

func TestGiteaStatuses(t *testing.T) {
	b := newBench(t, Options{Kind: Gitea}, true)
	sha := b.commit("a", "a", "One")
	b.push("main")
	_, err := b.work.Git(b.ctx, "tag", "--annotate", "--message", "x", "v1")
	b.must(err)
	object, err := b.work.Git(b.ctx, "rev-parse", "v1")
	b.must(err)
	b.push("v1")
	c := b.sdk(b.token())
	none, body, _ := get(t, b.APIURL()+"/api/v1/repos/acme/site/commits/"+sha+"/status", b.token())
	if none != 200 || !strings.Contains(body, `"statuses":null`) || !strings.Contains(body, `"state":"pending"`) {
		t.Errorf("without a status: %d %s", none, body)
	}
	for _, at := range []string{sha, sha[:10], "main", object} {
		st, answer, err := c.CreateStatus("acme", "site", at, sdk.CreateStatusOption{
			State: "running", Context: "tinyforge", Description: strings.Repeat("x", 5000), TargetURL: "javascript:",
		})
		b.must(err)
		if answer.StatusCode != 201 || st.State != "running" || len(st.Description) != 5000 || st.Context != "tinyforge" {
			t.Errorf("at %s: %d %+v", at, answer.StatusCode, st)
		}
	}
	if all := b.Statuses(b.full, sha); len(all) != 4 {
		t.Errorf("on the commit are %d", len(all))
	}
	combined, _, err := c.GetCombinedStatus("acme", "site", sha)
	b.must(err)
	if combined.State != "pending" || len(combined.Statuses) != 1 {
		t.Errorf("combined: %+v", combined)
	}
	list, _, err := c.ListStatuses("acme", "site", sha, sdk.ListStatusesOption{})
	b.must(err)
	if len(list) != 4 || list[0].ID > list[3].ID {
		t.Errorf("list: %+v", list)
	}
	_, answer, err := c.CreateStatus("acme", "site", zeroID, sdk.CreateStatusOption{State: "success"})
	if err == nil || answer.StatusCode != 500 || !strings.Contains(err.Error(), "object does not exist") {
		t.Errorf("unknown commit: %v", err)
	}
	b.must(b.Archive(b.full))
	if code, _, _ := call(t, http.MethodPost, b.APIURL()+"/api/v1/repos/acme/site/statuses/"+sha, b.token(), nil); code != 201 {
		t.Errorf("archive, no body: %d", code)
	}
}

func TestGiteaCombined(t *testing.T) {
	for states, want := range map[string]string{
		"": "pending", "success": "success", "success skipped": "success", "success pending": "pending", "success FAILED": "pending",
		"pending failure": "failure", "success error": "failure", "warning success": "failure",
	} {
		if got := giteaCombined(strings.Fields(states)); got != want {
			t.Errorf("%q is %s, want %s", states, got, want)
		}
	}
}

func TestGiteaRename(t *testing.T) {
	b := newBench(t, Options{Kind: Gitea}, true)
	sha := b.commit("a", "a", "One")
	b.push("main")
	former := b.PushURL(b.full)
	b.must(b.Rename(b.full, "acme/renamed"))
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		code, _, header := call(t, method, b.APIURL()+"/api/v1/repos/acme/site/statuses/"+sha, b.token(), map[string]string{"state": "success"})
		if code != 301 || !strings.HasSuffix(header.Get("Location"), "/api/v1/repos/acme/renamed/statuses/"+sha) {
			t.Errorf("%s: %d %s", method, code, header.Get("Location"))
		}
	}
	if all := b.Statuses("acme/renamed", sha); len(all) != 0 {
		t.Errorf("statuses: %+v", all)
	}
	if _, err := b.git.run(b.ctx, "", nil, "clone", "--quiet", former, filepath.Join(t.TempDir(), "x")); err != nil {
		t.Errorf("clone by the former name: %v", err)
	}
}

func TestGiteaLists(t *testing.T) {
	b := newBench(t, Options{Kind: Gitea}, true)
	sha := b.commit("a", "a", "One")
	b.push("main")
	for i := range 60 {
		_, err := b.CreateRepository(fmt.Sprintf("other/r%d", i), i%2 == 0)
		b.must(err)
	}
	c := b.sdk(b.token())
	mine, answer, err := c.ListMyRepos(sdk.ListReposOptions{ListOptions: sdk.ListOptions{Page: 1, PageSize: 100}})
	b.must(err)
	if len(mine) != 50 || answer.NextPage != 2 || answer.Header.Get("X-Total-Count") != "61" {
		t.Errorf("%d repositories, next page %d", len(mine), answer.NextPage)
	}
	rest, answer, err := c.SearchRepos(sdk.SearchRepoOptions{ListOptions: sdk.ListOptions{Page: 3}})
	b.must(err)
	if len(rest) != 1 || answer.NextPage != 0 || rest[0].FullName != "other/r59" || rest[0].Private {
		t.Errorf("last page: %+v", rest)
	}
	one, _, err := c.GetRepo("acme", "site")
	b.must(err)
	byID, _, err := c.GetRepoByID(one.ID)
	b.must(err)
	if byID.FullName != b.full || !byID.Private || byID.DefaultBranch != "main" || !byID.Permissions.Admin {
		t.Errorf("repository: %+v", byID)
	}
	_, err = b.work.Git(b.ctx, "tag", "v1")
	b.must(err)
	b.push("v1", "main:release/1")
	branches, _, err := c.ListRepoBranches("acme", "site", sdk.ListRepoBranchesOptions{})
	b.must(err)
	if len(branches) != 2 || branches[1].Name != "release/1" || branches[1].Commit.ID != sha {
		t.Errorf("branches: %+v", branches)
	}
	branch, _, err := c.GetRepoBranch("acme", "site", "release/1")
	b.must(err)
	if branch.Commit.ID != sha {
		t.Errorf("branch: %+v", branch)
	}
	tags, _, err := c.ListRepoTags("acme", "site", sdk.ListRepoTagsOptions{})
	b.must(err)
	if len(tags) != 1 || tags[0].Name != "v1" || tags[0].Commit.SHA != sha {
		t.Errorf("tags: %+v", tags)
	}
	ref, _, err := c.GetRepoRef("acme", "site", "heads/main")
	b.must(err)
	if ref.Object.SHA != sha {
		t.Errorf("ref: %+v", ref)
	}
}
