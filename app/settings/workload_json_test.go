package settings_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tinyforge/db"
)

// hasConfig compares the config of the workload shop.
func (w *world) hasConfig(want string) {
	w.t.Helper()
	if got := w.saved("shop"); !sameJSON(w.t, got.Config, want) {
		w.t.Errorf("the config is %s, want %s", got.Config, want)
	}
}

func sameJSON(t testing.TB, got json.RawMessage, want string) bool {
	t.Helper()
	var a, b any
	must(t, json.Unmarshal(got, &a))
	must(t, json.Unmarshal([]byte(want), &b))
	return fmt.Sprint(a) == fmt.Sprint(b)
}

func TestJSON(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	repo := w.repository("acme/shop")
	must(t, w.db.CreateWorkload(t.Context(), &db.Workload{Name: "shop", RepositoryID: repo.ID, Source: "image", Enabled: true,
		Config: json.RawMessage(`{"image":"a","registry":{"username":"u","password":"s3cret"},"env":{"X":"s3cret-x"},"platform":"linux/amd64"}`)}))
	form := b.get("/workloads/shop/settings")
	form.is(t, http.StatusOK, "Only in JSON", "<code>env.X</code>"[:6], "<code>platform</code>")
	post := func(values url.Values, pairs ...string) page {
		return b.do(http.MethodPost, "/workloads/shop/settings", with(values, pairs...))
	}
	asJSON := post(with(form.fields(), "port", "81"), "op", "view.json") // unsaved edits travel along
	asJSON.is(t, http.StatusOK, "&#34;port&#34;: 81", "••••••••", "<dt><code>platform</code></dt>", "&lt;example&gt;")
	if b.get("/workloads/shop/settings?view=json").is(t, http.StatusOK, "&#34;platform&#34;: &#34;linux/amd64&#34;"); strings.Contains(asJSON.body+form.body, "s3cret") {
		t.Error("a secret is on the page")
	}
	text := asJSON.fields().Get("config")
	for change, says := range map[string][]string{
		strings.Replace(text, "81", "81,,", 1):         {"Line ", "invalid character"},
		strings.Replace(text, `"port"`, `"prot"`, 1):   {"prot is not a known key", "Line ", "^"},
		strings.Replace(text, "81", `"81"`, 1):         {"port must be a int"},
		strings.Replace(text, "{", `{"port": 1,`, 1):   {"port is given twice"},
		strings.Replace(text, `"X":`, `"Y":`, 1):       {"The secret at env.Y is not known"},
		"[" + text + "]":                               {"must be an object"},
		"":                                             {"unexpected end"},
		`{"image":"a","deploy_strategy":"green-blue"}`: {"Line 1, column 32:", "unknown strategy"},
		`{"image":"a","registry":{"password":"s3cret-new"},"bad":"<b>"}`: {"bad is not a known key", "&lt;b&gt;"},
	} {
		p := post(asJSON.fields(), "config", change, "op", "save")
		p.is(t, http.StatusUnprocessableEntity, says...)
		if got := p.fields().Get("config"); got != strings.Replace(change, "s3cret-new", "••••••••", 1) {
			t.Errorf("%q is %q again", change, got)
		}
	}
	post(asJSON.fields(), "config", "{", "op", "view.form").is(t, http.StatusUnprocessableEntity, "unexpected end")
	back := post(asJSON.fields(), "config", strings.Replace(text, "81", "82", 1), "op", "view.form")
	back.is(t, http.StatusOK, `value="82"`)
	post(back.fields(), "op", "save", "registry_password", "").leads(t, "/workloads/shop/settings")
	want := `{"image":"a","registry":{"username":"u","password":"s3cret"},"env":{"X":"s3cret-x"},"platform":"linux/amd64","port":82}`
	if got := w.saved("shop"); string(got.Config) != want {
		t.Errorf("saved %s, want %s", got.Config, want)
	}
	post(b.get("/workloads/shop/settings?view=json").fields(), "config", `{"image":"b","registry":{"username":"u","password":"••••••••"}}`, "op", "save").leads(t, "/workloads/shop/settings")
	if got := w.saved("shop"); !sameJSON(t, got.Config, `{"image":"b","registry":{"username":"u","password":"s3cret"}}`) {
		t.Errorf("saved %s", got.Config)
	}

	broken := post(b.get("/workloads/shop/settings?view=json").fields(), "config", `{"image":"b","env":{"X":"s3cret-next"},,}`, "op", "save")
	if broken.is(t, http.StatusUnprocessableEntity, "Line "); strings.Contains(broken.body, "s3cret-next") || strings.Contains(broken.body, "<pre") {
		t.Errorf("a secret is on the page: %s", broken.body)
	}
	mended := post(broken.fields(), "config", `{"image":"b","env":{"X":"••••••••"}}`, "op", "view.form")
	mended.is(t, http.StatusOK)
	post(mended.fields(), "op", "save").leads(t, "/workloads/shop/settings") // what was typed is not lost
	if got := w.saved("shop"); !strings.Contains(string(got.Config), `"X":"s3cret-next"`) {
		t.Errorf("saved %s", got.Config)
	}
}
