package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tinyforge/app"
	"tinyforge/app/forgetest"
	"tinyforge/app/gitea"
	"tinyforge/app/settings"
	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
	"tinyforge/templates"
)

func realSources() pageSources { return sourceKinds(nil, "") }

// TestThePagesNameKeys: what the editor lists is what the sources read, in valid JSON.
func TestThePagesNameKeys(t *testing.T) {
	sources := realSources()
	for kind, want := range map[string]string{"dockerfile": "build_args", "image": "registry.password", "static": "storage.enabled", "compose": "allow"} {
		named := map[string]bool{}
		for _, key := range sources.Keys(kind) {
			named[key.Path] = true
			config := key.Example
			for _, name := range slices.Backward(strings.Split(key.Path, ".")) {
				config = fmt.Sprintf("{%q: %s}", name, config)
			}
			for _, fault := range sources.Check(kind, json.RawMessage(config)) {
				if strings.Contains(fault.Text, "known key") || strings.Contains(fault.Text, "valid JSON") || strings.Contains(config, "env:") {
					t.Errorf("%s: %s %s", config, fault.Path, fault.Text)
				}
			}
		}
		if !named[want] || !named["port"] || !named["healthcheck.path"] {
			t.Errorf("%s names %v", kind, named)
		}
	}
}

// TestS4_S5_ThePagesKnowTheReason asks the real sources, as the form does.
func TestS4_S5_ThePagesKnowTheReason(t *testing.T) {
	p := realSources()
	faults := p.Check("compose", json.RawMessage(`{"service":"web","deploy_strategy":"blue-green"}`))
	if len(faults) != 1 || faults[0].Path != "deploy_strategy" || !strings.Contains(faults[0].Text, "changed in place") {
		t.Errorf("compose: %+v", faults)
	}
	storage := json.RawMessage(`{"mode":"deno","entrypoint":"main.ts","storage":{"enabled":true},"deploy_strategy":"blue-green"}`)
	if strategy, why, err := p.Strategy("static", storage); err != nil || strategy != db.Recreate || !strings.Contains(why, "storage") || p.Check("static", storage) != nil {
		t.Errorf("static: %s %q %v", strategy, why, err)
	}
	if faults := p.Check("none", nil); len(faults) != 1 {
		t.Errorf("no such source: %+v", faults)
	}
}

// pages are the pages over real sources and a real forge.
type pages struct {
	*testing.T
	store     *db.DB
	server    *httptest.Server
	client    *http.Client
	checkouts string
}

func pagesOf(t *testing.T) *pages {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	store := emptyStore(t)
	set, err := templates.New(time.Now)
	check(err)
	mux := http.NewServeMux()
	checkouts := t.TempDir()
	forges := app.NewForges(store, map[string]app.Opener{"gitea": gitea.New})
	settings.New(settings.Config{DB: store, Templates: set, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Sources: realSources(), Code: pageCode{forges, checkouts},
		Prober: pageProber{store, nil}, CheckRoute: deploy.CheckRoute}).Mount(mux)
	jar, err := cookiejar.New(nil)
	check(err)
	p := &pages{t, store, httptest.NewServer(mux), &http.Client{Jar: jar}, checkouts}
	t.Cleanup(p.server.Close)
	p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	token, err := store.NewSignInLink(t.Context(), 0)
	check(err)
	first := url.Values{"token": {token}, "username": {"ann"}, "password": {"correct horse battery staple"}, "language": {"en"}, "base_url": {p.server.URL}}
	if code, text := p.post("/setup", first); code != http.StatusSeeOther {
		t.Fatalf("set up: %d %s", code, text)
	}
	return p
}

func (p *pages) post(path string, values url.Values) (int, string) {
	p.Helper()
	return p.do(http.MethodPost, path, values.Encode())
}

func (p *pages) do(method, path, body string) (int, string) {
	p.Helper()
	request, err := http.NewRequestWithContext(p.Context(), method, p.server.URL+path, strings.NewReader(body))
	if err != nil {
		p.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	response, err := p.client.Do(request)
	if err != nil {
		p.Fatal(err)
	}
	var text strings.Builder
	if err := response.Write(&text); err != nil {
		p.Fatal(err)
	}
	return response.StatusCode, text.String()
}

// TestTheFormFitsTheSources fills in every field of the form for every source, and the sources take it.
func TestTheFormFitsTheSources(t *testing.T) {
	forge := newForge(t, forgetest.Options{Kind: "gitea"})
	c := newClone(t, forge, "acme/shop")
	c.release("1")
	p := pagesOf(t)
	row := forge.Row("git")
	if err := p.store.SaveForge(t.Context(), &row); err != nil {
		t.Fatal(err)
	}
	there, err := forge.Repository("acme/shop")
	if err != nil {
		t.Fatal(err)
	}
	repo := there.Row()
	repo.ForgeID = row.ID
	if err := p.store.SaveRepository(t.Context(), &repo); err != nil {
		t.Fatal(err)
	}
	id := strconv.FormatInt(repo.ID, 10)
	if code, text := p.do(http.MethodGet, "/workloads/new?repo="+id, ""); code != http.StatusOK || !strings.Contains(text, "Found in main") || !strings.Contains(text, "Dockerfile") {
		t.Errorf("%d %s", code, text)
	}
	all := url.Values{"repo": {id}, "trigger": {"branch"}, "ref_pattern": {"main"}, "port": {"3000"}, "check_kind": {"http"}, "check_path": {"/up"}, "check_status": {"204"},
		"check_attempts": {"5"}, "check_interval": {"2s"}, "check_limit": {"3s"}, "check_start": {"4s"}, "report_commit_status": {"off"}, "memory": {"256MB"}, "cpus": {"0,5"},
		"context": {"app"}, "dockerfile": {"app/Dockerfile"}, "target": {"last"}, "build_args": {"A=1\nB=x y"}, "compose_file": {"compose.yaml\nmore.yaml"}, "compose_service": {"web"},
		"static_dir": {"dist"}, "static_spa": {"on"}, "static_entry": {"main.ts"}, "static_task": {"build"}, "static_serve": {"on"}, "static_storage": {"on"},
		"image": {"acme/shop:1"}, "registry_username": {"u"}, "registry_password": {"p"}, "volume_name": {"data"}, "volume_path": {"/d"},
		"runtime": {"swarm"}, "replicas": {"1"}, "constraints": {"node.hostname==one"}, "source_was": {""}, "config_base": {"{}"}}
	for name, change := range map[string]url.Values{
		"dockerfile": {"source_type": {"dockerfile"}},
		"compose":    {"source_type": {"compose"}},
		"deno":       {"source_type": {"static"}, "static_mode": {"deno"}},
		"files":      {"source_type": {"static"}, "static_mode": {"static"}, "volume_name": {""}, "volume_path": {""}},
		"image":      {"source_type": {"image"}},
	} {
		sent := url.Values{"name": {name}, "key": {name}, "op": {"create"}}
		for _, values := range []url.Values{all, change} {
			for field, value := range values {
				sent[field] = value
			}
		}
		if code, text := p.post("/workloads", sent); code != http.StatusSeeOther {
			t.Errorf("%s: %d %s", name, code, text)
			continue
		}
		w, err := p.store.WorkloadByName(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if placed := strings.Contains(string(w.Config), `"runtime":"swarm","replicas":1,"constraints":["node.hostname==one"]`); placed == (w.Source == "compose") {
			t.Errorf("%s: %s", name, w.Config)
		}
		if faults := realSources().Check(w.Source, w.Config); faults != nil || w.ReportsStatus() || !strings.Contains(string(w.Config), `"interval":"2s"`) {
			t.Errorf("%s: %s %v", name, w.Config, faults)
		}
	}
	if code, text := p.post("/workloads", url.Values{"repo": {id}, "name": {"live"}, "key": {"k"}, "trigger": {"branch"}, "source_type": {"dockerfile"}, "config_base": {"{}"}, "source_was": {"dockerfile"},
		"op": {"deploy"}}); code != http.StatusSeeOther || !strings.Contains(text, "/deployments/") {
		t.Errorf("%d %s", code, text)
	}
	left, err := os.ReadDir(p.checkouts)
	if err != nil || len(left) > 0 {
		t.Errorf("left are %v (%v)", left, err)
	}
}

// TestPageProber asks a running release.
func TestPageProber(t *testing.T) {
	p := pagesOf(t)
	ctx := t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	forge := db.Forge{Name: "git", Kind: "gitea", URL: "https://git.example.com"}
	check(p.store.SaveForge(ctx, &forge))
	repo := db.Repository{ForgeID: forge.ID, ExternalID: 1, FullName: "acme/shop"}
	check(p.store.SaveRepository(ctx, &repo))
	w := db.Workload{Name: "shop", RepositoryID: repo.ID, Host: "shop.example.com"}
	check(p.store.CreateWorkload(ctx, &w))
	runtime := deploytest.NewRuntime(t, func(db.Release) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/up" || r.Host != "shop.example.com" {
				w.WriteHeader(http.StatusTeapot)
			}
		})
	})
	prober := pageProber{p.store, runtime}
	fails := func(want string) {
		t.Helper()
		if _, _, err := prober.Probe(ctx, w, "/up"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	fails("nothing is live")
	release := db.Release{ID: "tf-shop-1", WorkloadID: w.ID, Workload: "shop", DeploymentID: 1, Image: "sha256:1", Port: 80}
	_, err := p.store.QueueCommit(ctx, w.ID, "refs/heads/main", strings.Repeat("a1", 20), "", "")
	check(err)
	dep, err := p.store.Claim(ctx, "test", time.Hour)
	check(err)
	dep.Release, dep.Phase = &release, db.PhaseCommitting
	check(p.store.Save(ctx, dep))
	dep.Phase = db.PhaseDraining
	check(p.store.Commit(ctx, dep, db.RuntimeState{WorkloadID: w.ID, DeploymentID: dep.ID, ReleaseID: release.ID, Commit: dep.Commit, Release: release}))
	fails("not running")
	_, err = runtime.Start(ctx, release)
	check(err)
	for path, want := range map[string]int{"/up": http.StatusOK, "/": http.StatusTeapot} {
		if status, took, err := prober.Probe(ctx, w, path); err != nil || status != want || took <= 0 {
			t.Errorf("%s: %d %s %v", path, status, took, err)
		}
	}
}
