package forgetest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v62/github"
)

// client is go-github as it is used in earnest: signed in through ghinstallation, as the App or as an installation.
func (b *bench) client(installation int64) *github.Client {
	b.t.Helper()
	row := b.Row("x")
	app, err := ghinstallation.NewAppsTransport(http.DefaultTransport, row.AppID, []byte(row.Credentials.PrivateKey))
	b.must(err)
	app.BaseURL = strings.TrimSuffix(b.APIURL(), "/")
	var transport http.RoundTripper = app
	if installation != 0 {
		transport = ghinstallation.NewFromAppsTransport(app, installation)
	}
	c, err := github.NewClient(&http.Client{Transport: transport}).WithEnterpriseURLs(b.APIURL(), b.APIURL())
	b.must(err)
	return c
}

func (b *bench) installation() int64 {
	b.t.Helper()
	r, err := b.Repository(b.full)
	b.must(err)
	return r.Installation
}

// wantCode checks the code of go-github's error; 0 means none.
func wantCode(t *testing.T, err error, code int, words string) {
	t.Helper()
	if code == 0 {
		if err != nil {
			t.Error(err)
		}
		return
	}
	var answer *github.ErrorResponse
	ok := errors.As(err, &answer)
	if !ok || answer.Response.StatusCode != code || !strings.Contains(answer.Error(), words) {
		t.Errorf("error is %v, want %d %q", err, code, words)
	}
}

func signedToken(key *rsa.PrivateKey, header, claims string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func TestGitHubAppToken(t *testing.T) {
	b := newBench(t, Options{Kind: GitHub}, true)
	g := b.manners.(*gitHub)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	b.must(err)
	const rs256 = `{"alg":"RS256","typ":"JWT"}`
	claims := func(issuer any, issued, expires time.Duration) string {
		raw, err := json.Marshal(map[string]any{
			"iss": issuer, "iat": time.Now().Add(issued).Unix(), "exp": time.Now().Add(expires).Unix(),
		})
		b.must(err)
		return string(raw)
	}
	good := claims(fmt.Sprint(g.appID), -time.Minute, 5*time.Minute)
	for name, c := range map[string]struct {
		token string
		code  int
		words string
	}{
		"good":             {signedToken(g.key, rs256, good), 200, "tinyforge"},
		"numeric issuer":   {signedToken(g.key, rs256, claims(g.appID, 0, time.Minute)), 200, "tinyforge"},
		"none":             {"", 401, "could not be decoded"},
		"garbage":          {"a.b.c", 401, "could not be decoded"},
		"other key":        {signedToken(other, rs256, good), 401, "could not be decoded"},
		"other algorithm":  {signedToken(g.key, `{"alg":"none"}`, good), 401, "could not be decoded"},
		"other app":        {signedToken(g.key, rs256, claims("1", 0, time.Minute)), 401, "Integration not found"},
		"no issuer":        {signedToken(g.key, rs256, claims(nil, 0, time.Minute)), 401, "'iss'"},
		"expired":          {signedToken(g.key, rs256, claims(g.appID, -time.Hour, -time.Minute)), 401, "'exp'"},
		"valid for a year": {signedToken(g.key, rs256, claims(g.appID, 0, 365*24*time.Hour)), 401, "too far"},
		"from the future":  {signedToken(g.key, rs256, claims(g.appID, 5*time.Minute, 8*time.Minute)), 401, "'iat'"},
	} {
		code, body, header := get(t, b.APIURL()+"app", c.token)
		if code != c.code || !strings.Contains(body, c.words) {
			t.Errorf("%s: %d %s", name, code, body)
		}
		if header.Get("X-RateLimit-Limit") != "5000" {
			t.Errorf("%s: no rate limit headers", name)
		}
	}
}

func TestGitHubInstallations(t *testing.T) {
	b := newBench(t, Options{Kind: GitHub}, true)
	_, err := b.CreateRepository("other/thing", false)
	b.must(err)
	all, _, err := b.client(0).Apps.ListInstallations(b.ctx, nil)
	b.must(err)
	if len(all) != 2 || all[0].GetAccount().GetLogin() != "acme" || all[1].GetAccount().GetLogin() != "other" {
		t.Errorf("installations: %v", all)
	}
	one, _, err := b.client(0).Apps.GetInstallation(b.ctx, b.installation())
	b.must(err)
	if one.GetID() != b.installation() || one.GetPermissions().GetStatuses() != "write" || one.SuspendedAt != nil {
		t.Errorf("installation: %v", one)
	}
	of, _, err := b.client(0).Apps.FindRepositoryInstallation(b.ctx, "acme", "site")
	b.must(err)
	if of.GetID() != b.installation() {
		t.Errorf("installation of the repository: %v", of)
	}
	seen, _, err := b.client(b.installation()).Apps.ListRepos(b.ctx, nil)
	b.must(err)
	if seen.GetTotalCount() != 1 || seen.Repositories[0].GetFullName() != b.full || !seen.Repositories[0].GetPrivate() {
		t.Errorf("repositories: %v", seen)
	}
	_, _, err = b.client(0).Apps.GetInstallation(b.ctx, 1)
	wantCode(t, err, 404, "Not Found")
}

func TestGitHubTokenEnds(t *testing.T) {
	b := newBench(t, Options{Kind: GitHub}, true)
	list := func(c *github.Client) error {
		_, _, err := c.Apps.ListRepos(b.ctx, nil)
		return err
	}
	c := b.client(b.installation())
	b.must(list(c))
	b.ExpireTokens()
	wantCode(t, list(c), 401, "Bad credentials")

	c = b.client(b.installation())
	b.must(list(c))
	b.must(b.Suspend("acme"))
	wantCode(t, list(c), 403, "suspended")
	if err := list(b.client(b.installation())); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("a suspended installation got a token: %v", err)
	}
	b.must(b.Unsuspend("acme"))
	b.must(list(c))

	id := b.installation()
	b.must(b.UninstallApp("acme"))
	wantCode(t, list(c), 401, "Bad credentials")
	if err := list(b.client(id)); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("an installation that is gone got a token: %v", err)
	}
	if err := b.UninstallApp("acme"); err == nil {
		t.Error("the app was uninstalled twice")
	}
}

func TestGitHubNarrowToken(t *testing.T) {
	b := newBench(t, Options{Kind: GitHub}, true)
	two, err := b.CreateRepository("acme/two", true)
	b.must(err)
	apps := b.client(0).Apps
	token := func(o *github.InstallationTokenOptions) (string, error) {
		t, _, err := apps.CreateInstallationToken(b.ctx, b.installation(), o)
		return t.GetToken(), err
	}
	narrow, err := token(&github.InstallationTokenOptions{
		RepositoryIDs: []int64{two.ID}, Permissions: &github.InstallationPermissions{Contents: github.String("read")},
	})
	b.must(err)
	if code, _, _ := get(t, b.APIURL()+"repos/acme/two/branches", narrow); code != 200 {
		t.Errorf("branches of the repository: %d", code)
	}
	if code, _, _ := get(t, b.APIURL()+"repos/acme/site", narrow); code != 404 {
		t.Errorf("the other repository: %d", code)
	}
	if code, _, _ := get(t, b.APIURL()+"repos/acme/two/commits/main/status", narrow); code != 403 {
		t.Errorf("statuses without the permission: %d", code)
	}
	_, err = token(&github.InstallationTokenOptions{Repositories: []string{"nothing"}})
	wantCode(t, err, 422, "does not exist")
	_, err = token(&github.InstallationTokenOptions{Permissions: &github.InstallationPermissions{Administration: github.String("write")}})
	wantCode(t, err, 422, "not granted")
}

func TestGitHubRename(t *testing.T) {
	b := newBench(t, Options{Kind: GitHub}, true)
	sha := b.commit("a", "a", "One")
	b.push("main")
	former := b.PushURL(b.full)
	b.must(b.Rename(b.full, "acme/renamed"))
	b.full = "acme/renamed"
	token, _, err := b.client(0).Apps.CreateInstallationToken(b.ctx, b.installation(), nil)
	b.must(err)

	old := b.APIURL() + "repos/acme/site"
	code, _, header := get(t, old, token.GetToken())
	if code != http.StatusMovedPermanently || !strings.Contains(header.Get("Location"), "/api/v3/repositories/") {
		t.Errorf("reading: %d %s", code, header.Get("Location"))
	}
	code, body, _ := get(t, header.Get("Location"), token.GetToken())
	if code != 200 || !strings.Contains(body, `"full_name":"acme/renamed"`) {
		t.Errorf("the new address: %d %s", code, body)
	}
	status := map[string]string{"state": "success"}
	code, _, header = call(t, http.MethodPost, old+"/statuses/"+sha, token.GetToken(), status)
	if code != http.StatusTemporaryRedirect || len(b.Statuses(b.full, sha)) != 0 {
		t.Errorf("writing: %d", code)
	}
	if code, body, _ = call(t, http.MethodPost, header.Get("Location"), token.GetToken(), status); code != 201 {
		t.Errorf("writing to the new address: %d %s", code, body)
	}
	if _, err := b.git.run(b.ctx, "", nil, "clone", "--quiet", former, filepath.Join(t.TempDir(), "again")); err != nil {
		t.Errorf("clone by the former name: %v", err)
	}
	if _, err := b.CreateRepository("acme/site", true); err != nil {
		t.Fatal(err)
	}
	if code, _, _ = get(t, old, token.GetToken()); code != 200 {
		t.Errorf("a new repository took the name, and it still redirects: %d", code)
	}
}

func TestGitHubGitCredentials(t *testing.T) {
	b := newBench(t, Options{Kind: GitHub}, true)
	b.commit("a", "a", "One")
	b.push("main")
	tok, _, err := b.client(0).Apps.CreateInstallationToken(b.ctx, b.installation(), nil)
	b.must(err)
	for name, c := range map[string]struct {
		user, password string
		code           int
	}{
		"nobody": {"", "", 401}, "token": {"x-access-token", tok.GetToken(), 200}, "wrong token": {"x-access-token", "ghs_no", 401},
		"developer": {Developer, b.password, 200}, "wrong password": {Developer, "no", 401},
	} {
		if code := b.info(b.full, "git-upload-pack", c.user, c.password); code != c.code {
			t.Errorf("%s: %d, want %d", name, code, c.code)
		}
	}
	if code := b.info(b.full, "git-receive-pack", "x-access-token", tok.GetToken()); code != 403 {
		t.Errorf("the app may push: %d", code)
	}
	if code := b.info("acme/nothing", "git-upload-pack", "x-access-token", tok.GetToken()); code != 404 {
		t.Errorf("no such repository: %d", code)
	}
	if code := b.info("acme/nothing", "git-upload-pack", "", ""); code != 401 {
		t.Errorf("no such repository, nobody: %d", code)
	}
	b.must(b.SetPrivate(b.full, false))
	if code := b.info(b.full, "git-upload-pack", "", ""); code != 200 {
		t.Errorf("public: %d", code)
	}
	if code := b.info(b.full, "git-receive-pack", "", ""); code != 401 {
		t.Errorf("anybody may push: %d", code)
	}
	b.ExpireTokens()
	b.must(b.SetPrivate(b.full, true))
	if code := b.info(b.full, "git-upload-pack", "x-access-token", tok.GetToken()); code != 401 {
		t.Errorf("expired token: %d", code)
	}
}

// info asks for the refs as git does.
func (b *bench) info(fullName, service, user, password string) int {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.ctx, http.MethodGet, b.URL()+"/"+fullName+".git/info/refs?service="+service, nil)
	b.must(err)
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	code, _, header := do(b.t, req)
	if (code == 401) != (header.Get("WWW-Authenticate") != "") {
		b.t.Errorf("answer %d with WWW-Authenticate %q", code, header.Get("WWW-Authenticate"))
	}
	return code
}

func TestGitHubLists(t *testing.T) {
	b := newBench(t, Options{Kind: GitHub}, true)
	repos, git := b.client(b.installation()).Repositories, b.client(b.installation()).Git
	_, _, err := git.ListMatchingRefs(b.ctx, "acme", "site", &github.ReferenceListOptions{Ref: "heads/"})
	wantCode(t, err, 409, "empty")
	sha := b.commit("a", "a", "One")
	b.push("main")
	for i := range 4 {
		_, err := b.work.Git(b.ctx, "branch", fmt.Sprintf("b%d", i))
		b.must(err)
	}
	_, err = b.work.Git(b.ctx, "tag", "--annotate", "--message", "x", "v1")
	b.must(err)
	b.push("--all")
	b.push("--tags")
	var names []string
	for page := 1; page != 0; {
		branches, answer, err := repos.ListBranches(b.ctx, "acme", "site", &github.BranchListOptions{ListOptions: github.ListOptions{Page: page, PerPage: 2}})
		b.must(err)
		for _, branch := range branches {
			names = append(names, branch.GetName())
		}
		page = answer.NextPage
	}
	if strings.Join(names, " ") != "b0 b1 b2 b3 main" {
		t.Errorf("branches: %q", names)
	}
	tags, _, err := repos.ListTags(b.ctx, "acme", "site", nil)
	b.must(err)
	if len(tags) != 1 || tags[0].GetName() != "v1" || tags[0].GetCommit().GetSHA() != sha {
		t.Errorf("tags: %v", tags)
	}
	refs, _, err := git.ListMatchingRefs(b.ctx, "acme", "site", &github.ReferenceListOptions{Ref: "tags/"})
	b.must(err)
	if len(refs) != 1 || refs[0].GetRef() != "refs/tags/v1" || refs[0].GetObject().GetType() != "tag" || refs[0].GetObject().GetSHA() == sha {
		t.Errorf("refs: %v", refs)
	}
}
