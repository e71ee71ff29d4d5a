package settings_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"tinyforge/app/forgetest"
	"tinyforge/app/settings"
	"tinyforge/db"
)

// script speaks to the API with a token. Every answer is held against the description.
type script struct {
	*world
	token     string
	validator validator.Validator
}

func describedAPI(t testing.TB) (libopenapi.Document, validator.Validator) {
	t.Helper()
	raw, err := os.ReadFile("openapi.yaml")
	must(t, err)
	doc, err := libopenapi.NewDocument(raw)
	must(t, err)
	v, errs := validator.NewValidator(doc)
	for _, err := range errs {
		t.Fatal(err)
	}
	return doc, v
}

// script makes a token for a user of a role.
func (w *world) script(role db.Role) *script {
	w.t.Helper()
	u := db.User{Name: "robot " + string(role), Role: role}
	must(w.t, w.db.SaveUser(w.t.Context(), &u))
	token, err := w.db.NewAPIToken(w.t.Context(), &db.APIToken{UserID: u.ID, Name: "test"})
	must(w.t, err)
	_, v := describedAPI(w.t)
	return &script{w, token, v}
}

// call sends a request and checks the answer's code and that it is as described; it returns the body.
func (s *script) call(method, path, body string, want int, headers ...string) string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.server.URL+path, strings.NewReader(body))
	must(s.t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	must(s.t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	must(s.t, err)
	if res.StatusCode != want {
		s.t.Errorf("%s %s answers %d, want %d: %s", method, path, res.StatusCode, want, raw)
	}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		described := req.Clone(context.Background())
		described.Body = io.NopCloser(strings.NewReader(body))
		res.Body = io.NopCloser(bytes.NewReader(raw))
		if ok, faults := s.validator.ValidateHttpResponse(described, res); !ok {
			for _, f := range faults {
				s.t.Errorf("%s %s: %s: %s %+v\n%s", method, path, f.Message, f.Reason, f.SchemaValidationErrors, raw)
			}
		}
	}
	return string(raw)
}

// TestAPIIsDescribed: the file is valid, and names the addresses that there are, and no others.
func TestAPIIsDescribed(t *testing.T) {
	doc, v := describedAPI(t)
	if ok, faults := v.ValidateDocument(); !ok {
		for _, f := range faults {
			t.Errorf("%s: %s %+v", f.Message, f.Reason, f.SchemaValidationErrors)
		}
	}
	model, err := doc.BuildV3Model()
	must(t, err)
	var described []string
	for path, item := range model.Model.Paths.PathItems.FromOldest() {
		for method := range item.GetOperations().FromOldest() {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	routes := settings.APIRoutes()
	slices.Sort(described)
	slices.Sort(routes)
	if !slices.Equal(described, routes) {
		t.Errorf("described are\n%q, there are\n%q", described, routes)
	}
	w := newWorld(t)
	raw, err := os.ReadFile("openapi.yaml")
	must(t, err)
	if p := w.browser().get("/api/v1/openapi.yaml"); p.StatusCode != http.StatusOK || p.body != string(raw) {
		t.Errorf("served is %d %s", p.StatusCode, p.body)
	}
}

// deployable is a workload of a real forge with one commit.
func (w *world) deployable() (db.Workload, string) {
	w.t.Helper()
	forge := w.realForge(forgetest.Gitea)
	made, err := forge.CreateRepository("acme/site", false)
	must(w.t, err)
	tree, err := forge.Clone(w.t.Context(), "acme/site", filepath.Join(w.t.TempDir(), "clone"))
	must(w.t, err)
	must(w.t, tree.Write("Dockerfile", "FROM scratch\n", 0))
	commit, err := tree.Commit(w.t.Context(), "first")
	must(w.t, err)
	must(w.t, tree.Push(w.t.Context(), "HEAD:main"))
	row, err := w.db.ForgeByName(w.t.Context(), "hub")
	must(w.t, err)
	repo := db.Repository{ForgeID: row.ID, ExternalID: made.ID, FullName: "acme/site", DefaultBranch: "main"}
	must(w.t, w.db.SaveRepository(w.t.Context(), &repo))
	wl := db.Workload{Name: "shop", RepositoryID: repo.ID, Source: "dockerfile", Host: "shop.example.com", Enabled: true, Config: []byte("{}"), Env: map[string]string{"KEY": "s3cret"}}
	must(w.t, w.db.SaveWorkload(w.t.Context(), &wl))
	return wl, commit
}

// goLive takes the queued deployment to its end.
func (w *world) goLive(wl db.Workload) int64 {
	w.t.Helper()
	dep, err := w.db.Claim(w.t.Context(), "test", 1<<40)
	must(w.t, err)
	dep.Release = &db.Release{ID: "tf-shop", WorkloadID: wl.ID, DeploymentID: dep.ID, Commit: dep.Commit}
	dep.Phase = db.PhaseReaping
	must(w.t, w.db.Commit(w.t.Context(), dep, db.RuntimeState{WorkloadID: wl.ID, DeploymentID: dep.ID, ReleaseID: "tf-shop", Commit: dep.Commit, Release: *dep.Release}))
	dep.Phase = db.PhaseLive
	must(w.t, w.db.Save(w.t.Context(), dep))
	return dep.ID
}

func TestAPIDeploys(t *testing.T) {
	w := newWorld(t)
	s := w.script(db.Deployer)
	if got := s.call(http.MethodGet, "/api/v1/workloads", "", 200); got != `{"workloads":[]}`+"\n" {
		t.Errorf("at first: %s", got)
	}
	wl, commit := w.deployable()
	if got := s.call(http.MethodGet, "/api/v1/workloads", "", 200); !strings.Contains(got, `"name":"shop"`) || !strings.Contains(got, `"live":null`) || strings.Contains(got, "s3cret") {
		t.Errorf("workloads: %s", got)
	}
	s.call(http.MethodPost, "/api/v1/workloads/shop/rollback", "", 409)
	var dep struct {
		ID     int64
		Phase  string
		Commit string
	}
	must(t, json.Unmarshal([]byte(s.call(http.MethodPost, "/api/v1/workloads/shop/deployments", "", 202)), &dep))
	if dep.Phase != "queued" || dep.Commit != commit {
		t.Errorf("queued: %+v, want %s", dep, commit)
	}
	first := w.goLive(wl)
	s.call(http.MethodPost, "/api/v1/deployments/"+idOf(first)+"/cancel", "", 409)
	s.call(http.MethodPost, "/api/v1/workloads/shop/deployments", `{"ref": "main"}`, 202)
	second := w.goLive(wl)
	if got := s.call(http.MethodGet, "/api/v1/workloads/shop", "", 200); !strings.Contains(got, `"live":{"deployment":`+idOf(second)) {
		t.Errorf("live: %s", got)
	}
	if got := s.call(http.MethodPost, "/api/v1/workloads/shop/rollback", "", 202); !strings.Contains(got, `"cause":"rollback"`) {
		t.Errorf("rollback: %s", got)
	}
	s.call(http.MethodPost, "/api/v1/workloads/shop/rollback", `{"deployment": `+idOf(second)+`}`, 409)
	s.call(http.MethodPost, "/api/v1/workloads/shop/rollback", `{"deployment": 999}`, 404)
	if got := s.call(http.MethodPost, "/api/v1/deployments/"+idOf(first)+"/redeploy", "", 202); !strings.Contains(got, `"cause":"redeploy"`) {
		t.Errorf("redeploy: %s", got)
	}
	newest, err := w.db.DeploymentsOf(t.Context(), wl.ID, 1)
	must(t, err)
	if got := s.call(http.MethodPost, "/api/v1/deployments/"+idOf(newest[0].ID)+"/cancel", "", 200); !strings.Contains(got, `"phase":"cancelled"`) {
		t.Errorf("cancel: %s", got)
	}
	if got := s.call(http.MethodGet, "/api/v1/workloads/shop/deployments?limit=1&before="+idOf(second), "", 200); !strings.Contains(got, `"id":`+idOf(first)+`,`) || strings.Count(got, `"id"`) != 1 {
		t.Errorf("history: %s", got)
	}
	w.audited("deployment.queued", idOf(second))
	w.audited("deployment.cancelled", idOf(newest[0].ID))
	entries, err := w.db.AuditEntries(t.Context(), "deployment", 0, 1)
	must(t, err)
	if len(entries) != 1 || entries[0].Actor != "robot deployer (test)" || entries[0].Subject != "shop" {
		t.Errorf("the newest entry is %+v", entries)
	}

	_, err = w.db.QueueCommit(t.Context(), wl.ID, "refs/heads/main", commit, "Known words", "ann")
	must(t, err)
	must(t, json.Unmarshal([]byte(s.call(http.MethodPost, "/api/v1/workloads/shop/deployments", "", 202)), &dep))
	if told, err := w.db.Deployment(t.Context(), dep.ID); err != nil || told.Message != "Known words" || told.Author != "ann" {
		t.Errorf("what is known of the commit is not told again: %q by %q, %v", told.Message, told.Author, err)
	}
}

func TestAPILog(t *testing.T) {
	w := newWorld(t)
	s := w.script(db.Viewer)
	wl, commit := w.deployable()
	dep, err := w.db.QueueCommit(t.Context(), wl.ID, "refs/heads/main", commit, "", "")
	must(t, err)
	path := "/api/v1/deployments/" + idOf(dep.ID)
	s.call(http.MethodGet, path, "", 200)
	if got := s.call(http.MethodGet, path+"/log", "", 200); got != "" {
		t.Errorf("an empty log: %q", got)
	}
	for _, text := range []string{"one", "two <b>", "three"} {
		must(t, w.db.AppendLog(t.Context(), db.LogLine{DeploymentID: dep.ID, Phase: db.PhaseBuilding, Text: text}))
	}
	if got := s.call(http.MethodGet, path+"/log", "", 200); strings.Count(got, "\n") != 3 || !strings.Contains(got, "building   two <b>\n") {
		t.Errorf("log: %q", got)
	}
	lines := strings.Split(s.call(http.MethodGet, path+"/log?limit=2", "", 200, "Accept", "application/x-ndjson"), "\n")
	var line struct {
		ID   int64
		Text string
	}
	must(t, json.Unmarshal([]byte(lines[1]), &line))
	if line.Text != "two <b>" || len(lines) != 3 {
		t.Errorf("lines %q", lines)
	}
	if got := s.call(http.MethodGet, path+"/log?after="+idOf(line.ID), "", 200); !strings.HasSuffix(got, "three\n") || strings.Contains(got, "two") {
		t.Errorf("after: %q", got)
	}
	s.call(http.MethodGet, path+"/log?after=x", "", 400)
	must(t, w.db.AppendLog(t.Context(), db.LogLine{DeploymentID: dep.ID, Phase: db.PhaseBuilding, Text: "\x1b[31mfour\x1b[0m"}))
	if got := s.call(http.MethodGet, path+"/log", "", 200); !strings.HasSuffix(got, " four\n") || strings.Contains(got, "\x1b") {
		t.Errorf("coloured: %q", got)
	}
	must(t, w.db.DeleteWorkload(t.Context(), wl.ID, false))
	for _, gone := range []string{path, path + "/log", "/api/v1/workloads/shop", "/api/v1/workloads/shop/deployments"} {
		s.call(http.MethodGet, gone, "", 404)
	}
}

func TestAPIRefuses(t *testing.T) {
	w := newWorld(t)
	viewer, deployer := w.script(db.Viewer), w.script(db.Deployer)
	w.deployable()
	for _, rt := range []string{"/workloads/shop/deployments", "/workloads/shop/rollback", "/deployments/1/cancel", "/deployments/1/redeploy"} {
		if got := viewer.call(http.MethodPost, "/api/v1"+rt, "", 403); !strings.Contains(got, "this needs the role deployer") {
			t.Errorf("%s: %s", rt, got)
		}
	}
	for path, want := range map[string]int{"/api/v1/workloads/other": 404, "/api/v1/deployments/99": 404, "/api/v1/deployments/x": 404, "/api/v1/workloads/shop/deployments?limit=-1": 400} {
		viewer.call(http.MethodGet, path, "", want)
	}
	for body, says := range map[string]string{`{"ref": "nowhere"}`: "has no branch or tag nowhere", `{"ref": "rel/*"}`: "say which branch", `{"reff": "main"}`: "unknown field", `{`: "not the JSON", `{}{}`: "more than one"} {
		want := http.StatusBadRequest
		if strings.Contains(body, `"ref":`) {
			want = http.StatusUnprocessableEntity
		}
		if got := deployer.call(http.MethodPost, "/api/v1/workloads/shop/deployments", body, want); !strings.Contains(got, says) {
			t.Errorf("%s: %s", body, got)
		}
	}
	deployer.call(http.MethodPost, "/api/v1/workloads/shop/deployments", `{"ref":"`+strings.Repeat("x", 1<<20)+`"}`, 413)
	b := w.browser()
	if p := b.get("/api/v1/nothing"); p.StatusCode != http.StatusUnauthorized || p.Header.Get("WWW-Authenticate") == "" || !strings.Contains(p.body, "Authorization: Bearer") {
		t.Errorf("without a token: %d %s", p.StatusCode, p.body)
	}
	b.do(http.MethodGet, "/api/v1/nothing", nil, "Authorization", "Bearer "+viewer.token).is(t, http.StatusNotFound, "openapi.yaml")
	good := viewer.token
	viewer.token = "tfp_wrong"
	for range 10 {
		viewer.call(http.MethodGet, "/api/v1/workloads", "", 401)
	}
	viewer.call(http.MethodGet, "/api/v1/workloads", "", 429)
	viewer.token = good // others' wrong ones do not keep it out
	viewer.call(http.MethodGet, "/api/v1/workloads", "", 200)
	b.post("/sign-in", "username", "ann", "password", "wrong").is(t, http.StatusUnprocessableEntity) // and nobody from signing in
}
