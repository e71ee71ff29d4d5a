package settings_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tinyforge/db"
)

func TestTwoTabs(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	repo := w.repository("acme/shop")
	must(t, w.db.CreateWorkload(t.Context(), &db.Workload{Name: "shop", RepositoryID: repo.ID, Source: "image", Config: json.RawMessage(`{"image":"a"}`), Enabled: true,
		Env: map[string]string{"A": "1", "T": "s3cret"}, Plain: []string{"A"}}))
	first, second := b.get("/workloads/shop/settings").fields(), b.get("/workloads/shop/settings").fields()
	b.do(http.MethodPost, "/workloads/shop/settings", with(first, "port", "81", "domain", "one.example.com")).leads(t, "/workloads/shop/settings")
	p := b.do(http.MethodPost, "/workloads/shop/settings", row(with(second, "port", "82"), 0, "env_value", "2"))
	p.is(t, http.StatusConflict, "These settings were changed", "one.example.com", ">81<", ">82<")
	if strings.Contains(p.body, "s3cret") {
		t.Error("a secret is on the page")
	}
	b.do(http.MethodPost, "/workloads/shop/settings", p.fields()).leads(t, "/workloads/shop/settings") // sent again, it wins
	got := w.saved("shop")
	if got.Host != "" || got.Env["A"] != "2" || got.Env["T"] != "s3cret" || !sameJSON(t, got.Config, `{"image":"a","port":82}`) {
		t.Errorf("saved %+v %s", got, got.Config)
	}
	entries, err := w.db.AuditEntries(t.Context(), "workload", 0, 10)
	must(t, err)
	entries = slices.DeleteFunc(entries, func(e db.AuditEntry) bool { return e.Action != "workload.saved" })
	if len(entries) != 2 || !strings.Contains(entries[1].Detail, "port") || !strings.Contains(entries[0].Detail, "domain") {
		t.Errorf("audit %+v", entries)
	}
}

func TestSettingsOfWhatIsLive(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	repo := w.repository("acme/shop")
	workload := db.Workload{Name: "shop", RepositoryID: repo.ID, Source: "image", Config: json.RawMessage(`{"image":"a"}`), Enabled: true, RefPattern: "tags/v*"}
	must(t, w.db.CreateWorkload(t.Context(), &workload))
	w.live(workload)
	p := b.get("/workloads/shop/settings")
	p.is(t, http.StatusOK, "Try it on the running copy")
	for path, says := range map[string]string{"/up": "answered 204 after", "/down": "answered 503 after", "/": "nothing listens on port 8080", "up": "Start the path with /"} {
		b.do(http.MethodPost, "/workloads/shop/settings", with(p.fields(), "check_kind", "http", "check_path", path, "op", "check.try")).is(t, http.StatusOK, says)
	}
	b.do(http.MethodPost, "/workloads/shop/settings", with(p.fields(), "port", "81", "domain", "a.example.com")).leads(t, "/workloads/shop/settings")
	b.get("/workloads/shop/settings").is(t, http.StatusOK, "Port of the program take effect with the next deployment")
	p = b.do(http.MethodPost, "/workloads/shop/settings", with(b.get("/workloads/shop/settings").fields(), "op", "deploy"))
	if dep := w.newest(workload); dep.Ref != "refs/tags/v10" {
		t.Errorf("deployed %s", dep.Ref)
	} else {
		p.leads(t, fmt.Sprintf("/workloads/shop/deployments/%d", dep.ID))
	}
	b.post("/workloads/shop/pause").leads(t, "/workloads/shop")
	if w.saved("shop").Enabled {
		t.Error("it is not paused")
	}
	p = b.get("/workloads/shop/settings")
	p.is(t, http.StatusOK, `value="tags/v*"`, `action="/workloads/shop/resume"`)
	b.do(http.MethodPost, "/workloads/shop/settings", with(p.fields(), "trigger", "tag")).leads(t, "/workloads/shop/settings")
	if got := w.saved("shop"); !got.Enabled || got.RefPattern != "tags/v*" {
		t.Errorf("saved %+v", got)
	}
	b.post("/workloads/shop/resume").leads(t, "/workloads/shop")
	b.get("/workloads/shop/env").is(t, http.StatusFound)
	w.code.err = fmt.Errorf("the forge does not answer")
	b.do(http.MethodPost, "/workloads/shop/settings", with(b.get("/workloads/shop/settings").fields(), "op", "deploy")).leads(t, "/workloads/shop")
	b.get("/workloads").is(t, http.StatusOK, "the forge did not say", "the forge does not answer")
}

func TestDeleteWorkload(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	repo := w.repository("acme/shop")
	workload := db.Workload{Name: "shop", RepositoryID: repo.ID, Source: "image", Host: "shop.example.com"}
	must(t, w.db.CreateWorkload(t.Context(), &workload))
	w.live(workload)
	p := b.get("/workloads/shop/delete")
	p.is(t, http.StatusOK, "shop.example.com", "<code>data</code>", "Type shop to confirm")
	if strings.Contains(p.body, "checked") {
		t.Error("the box of the volumes is ticked")
	}
	b.post("/workloads/shop/delete", "name", "Shop", "delete_volumes", "on").is(t, http.StatusUnprocessableEntity, "Type shop exactly")
	b.post("/workloads/shop/delete", "name", "shop", "delete_volumes", "off").leads(t, "/workloads")
	gone, err := w.db.Workload(t.Context(), workload.ID)
	must(t, err)
	if gone.DeletedAt == nil || gone.VolumesToo {
		t.Errorf("got %+v", gone)
	}
	for _, path := range []string{"/settings", "/delete", "/env"} {
		b.get("/workloads/shop"+path).is(t, http.StatusNotFound, "There is no workload called shop")
	}
	b.post("/workloads/shop/settings", "name", "shop").is(t, http.StatusNotFound)
	sent := with(b.get(fmt.Sprintf("/workloads/new?repo=%d", repo.ID)).fields(), "name", "shop", "op", "create")
	b.do(http.MethodPost, "/workloads", sent).is(t, http.StatusUnprocessableEntity, "is just being removed")
}

// TestRolesOfWorkloadForms: who may not change workloads sees none of their forms.
func TestRolesOfWorkloadForms(t *testing.T) {
	w := newWorld(t)
	w.owner()
	repo := w.repository("acme/shop")
	must(t, w.db.CreateWorkload(t.Context(), &db.Workload{Name: "shop", RepositoryID: repo.ID, Source: "image", Enabled: true}))
	user := db.User{Name: "bob", Role: db.Deployer}
	must(t, w.db.SaveUser(t.Context(), &user))
	token, err := w.db.NewSignInLink(t.Context(), user.ID)
	must(t, err)
	b := w.browser()
	b.post("/setup", "token", token, "username", "bob", "password", password, "language", "en")
	for _, path := range []string{"/workloads/new", "/workloads/shop/settings", "/workloads/shop/env", "/workloads/shop/delete"} {
		b.get(path).is(t, http.StatusForbidden, "administrator")
	}
	for _, path := range []string{"/workloads", "/workloads/shop/settings", "/workloads/shop/delete"} {
		b.post(path, "name", "shop").is(t, http.StatusForbidden)
	}
	b.post("/workloads/shop/pause").leads(t, "/workloads/shop") // who deploys may also hold that up
	if got := w.saved("shop"); got.Enabled {
		t.Error("it is not paused")
	}
}

func TestChangedSince(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	repo := w.repository("acme/shop")
	must(t, w.db.CreateWorkload(t.Context(), &db.Workload{Name: "shop", RepositoryID: repo.ID, Source: "image", Enabled: true,
		Config: json.RawMessage(`{"image":"a","registry":{"username":"u","password":"s3cret"}}`), Env: map[string]string{"KEY": "s3cret-key", "OLD": "1"}}))
	w.live(w.saved("shop"))
	const says = "Settings changed since deployment 1"
	change := func(change func(*db.Workload)) page {
		saved := w.saved("shop")
		change(&saved)
		must(t, w.db.ChangeWorkload(t.Context(), &saved))
		p := b.get("/workloads/shop")
		p.is(t, http.StatusOK)
		if strings.Contains(p.body, "s3cret") {
			t.Error("a secret is on the page")
		}
		return p
	}
	if p := change(func(w *db.Workload) {
		w.Host, w.RefPattern = "new.example.com", "release/*"
		w.Config = json.RawMessage(`{"registry":{"password":"s3cret","username":"u"},"image":"a","report_commit_status":false}`)
	}); strings.Contains(p.body, says) {
		t.Error("nothing that changed needs a deployment")
	}
	change(func(w *db.Workload) {
		w.Config = json.RawMessage(`{"image":"a","memory":"256M","registry":{"username":"u","password":"s3cret-2"}}`)
		w.Env = map[string]string{"KEY": "s3cret-other", "NEW": "s3cret"}
	}).is(t, http.StatusOK, says+": Memory limit, Password or token, KEY, NEW and OLD", `<input type="hidden" name="again" value="yes">`)
	w.live(w.saved("shop"))
	if p := b.get("/workloads/shop"); strings.Contains(p.body, "Settings changed") {
		t.Error("what was deployed since has not changed")
	}
}
