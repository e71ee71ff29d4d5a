package settings_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"tinyforge/db"
)

// row fills in a row of a list.
func row(values url.Values, i int, pairs ...string) url.Values {
	all := with(values)
	for n := 0; n+1 < len(pairs); n += 2 {
		all[pairs[n]][i] = pairs[n+1]
	}
	return all
}

func TestRowsWithoutScript(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	repo := w.repository("acme/shop")
	sent := b.get(fmt.Sprintf("/workloads/new?repo=%d", repo.ID)).fields()
	post := func(values url.Values, op string) page {
		return b.do(http.MethodPost, "/workloads", with(values, "op", op))
	}
	p := post(row(row(sent, 0, "env_name", "A", "env_value", "1"), 2, "env_name", "C", "env_value", "3"), "env.more")
	p.is(t, http.StatusOK)
	more := p.fields()
	if len(more["env_name"]) != 10 || !slices.Equal(more["env_name"][:3], []string{"A", "C", ""}) {
		t.Fatalf("rows are %q", more["env_name"])
	}
	dropped := post(more, "env.drop:0").fields()
	if dropped["env_name"][0] != "C" || dropped["env_value"][0] != "3" {
		t.Errorf("rows are %q", dropped["env_name"])
	}
	p = post(with(more, "env_paste", "A=2\nSECRET_KEY='s3cret\nline'\nnonsense\n"), "env.parse")
	p.is(t, http.StatusOK, "2 variables read", "1 replaced", "Line 4 is not NAME=value", "looks like a secret")
	if left := p.fields().Get("env_paste"); strings.Contains(p.body, "s3cret") || left != "nonsense\n" {
		t.Errorf("a secret is on the page, or what was not understood is not: %q", left)
	}
	unread := post(with(sent, "env_paste", "A=1\nMY_TOKEN s3cret=1\nB_SECRET=\"s3cret"), "create")
	unread.is(t, http.StatusUnprocessableEntity, "Line 2 is not NAME=value", `href="#f-env_paste"`)
	if strings.Contains(unread.between("<main", "</main>"), "=1\n") || strings.Contains(unread.body, "&#34;s3cret") {
		t.Errorf("a secret is on the page: %s", unread.body)
	}
	text := post(with(p.fields(), "env_paste", ""), "env.text")
	text.is(t, http.StatusOK, "SECRET_KEY="+"••••••••", "A=2")
	shown := row(text.fields(), 0, "env_value", "22") // what is only shown does not undo what is typed into the rows
	b.do(http.MethodPost, "/workloads", with(shown, "env_paste", shown.Get("env_paste")+"D=4\n", "paste_mode", "merge", "op", "create")).leads(t, "/workloads/shop")
	if got := w.saved("shop"); got.Env["SECRET_KEY"] != "s3cret\nline" || got.Env["A"] != "2" || got.Env["C"] != "3" || got.Env["D"] != "4" || len(got.Env) != 4 {
		t.Errorf("saved %q", got.Env)
	}
	p = b.do(http.MethodPost, "/workloads/shop/settings", with(row(b.get("/workloads/shop/settings").fields(), 0, "volume_name", "data", "volume_path", "/d"), "op", "volume.more"))
	if f := p.fields(); len(f["volume_name"]) != 5 {
		t.Errorf("volumes are %q", f["volume_name"])
	}
	p = b.do(http.MethodPost, "/workloads/shop/settings", with(p.fields(), "op", "volume.drop:0"))
	if f := p.fields(); f["volume_name"][0] != "" {
		t.Errorf("volumes are %q", f["volume_name"])
	}
}

func TestSecretsOfAVariable(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	repo := w.repository("acme/shop")
	must(t, w.db.CreateWorkload(t.Context(), &db.Workload{Name: "shop", RepositoryID: repo.ID, Source: "image", Config: json.RawMessage(`{"image":"a"}`), Enabled: true,
		Env: map[string]string{"A": "s3cret-a", "B": "s3cret-b"}})) // nobody called them plain
	save := func(change func(url.Values)) page {
		values := b.get("/workloads/shop/settings").fields()
		change(values)
		return b.do(http.MethodPost, "/workloads/shop/settings", values)
	}
	p := b.get("/workloads/shop/settings")
	if p.is(t, http.StatusOK, `value="A"`, `value="B"`); strings.Contains(p.body, "s3cret") {
		t.Error("a secret is on the page")
	}
	save(func(v url.Values) { v["env_name"][0] = "RENAMED" }).leads(t, "/workloads/shop/settings")
	if got := w.saved("shop"); got.Env["RENAMED"] != "s3cret-a" || len(got.Env) != 2 {
		t.Errorf("renamed: %q", got.Env)
	}
	save(func(v url.Values) { v["env_secret"] = []string{"1"} }).is(t, http.StatusUnprocessableEntity, "Type the value again to make it readable")
	save(func(v url.Values) { v.Add("env_replace", "1") }).leads(t, "/workloads/shop/settings")
	if got := w.saved("shop"); got.Env["RENAMED"] != "" || got.Env["B"] != "s3cret-b" {
		t.Errorf("emptied: %q", got.Env)
	}
	save(func(v url.Values) { v["env_value"][0], v["env_secret"] = "plain", []string{"1"} }).leads(t, "/workloads/shop/settings")
	if got := w.saved("shop"); got.Env["B"] != "plain" && got.Env["RENAMED"] != "plain" || len(got.Plain) != 1 {
		t.Errorf("plain: %q %q", got.Env, got.Plain)
	}
	save(func(v url.Values) {
		v["env_was"][0], v["env_secret"], v["env_value"][0] = "GONE", []string{"0", "1"}, ""
	}).
		is(t, http.StatusUnprocessableEntity, "it is not known any more")
}
