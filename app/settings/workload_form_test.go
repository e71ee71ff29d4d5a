package settings_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"tinyforge/db"
)

var (
	inputTag    = regexp.MustCompile(`<input[^>]*>`)
	areaTag     = regexp.MustCompile(`(?s)<textarea[^>]*name="([^"]*)"[^>]*>\n(.*?)</textarea>`)
	attributeOf = func(tag, name string) string {
		_, rest, _ := strings.Cut(tag, " "+name+`="`)
		value, _, _ := strings.Cut(rest, `"`)
		return html.UnescapeString(value)
	}
)

// fields are what a browser would send of the form on the page, without a button.
func (p page) fields() url.Values {
	body := p.between(`data-guard>`, "</form>")
	values := url.Values{}
	for _, tag := range inputTag.FindAllString(body, -1) {
		kind := attributeOf(tag, "type")
		if (kind == "radio" || kind == "checkbox") && !strings.Contains(tag, " checked") {
			continue
		}
		values.Add(attributeOf(tag, "name"), attributeOf(tag, "value"))
	}
	for _, m := range areaTag.FindAllStringSubmatch(body, -1) {
		values.Add(m[1], html.UnescapeString(m[2]))
	}
	return values
}

func with(values url.Values, pairs ...string) url.Values {
	all := url.Values{}
	for name, list := range values {
		all[name] = slices.Clone(list)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		all.Set(pairs[i], pairs[i+1])
	}
	return all
}

func TestNewWorkload(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	repo := w.repository("acme/Shop.Front")
	w.code.found = dockerfileFound()
	b.get("/workloads/new").is(t, http.StatusOK, "acme/Shop.Front", fmt.Sprintf(`href="/workloads/new?repo=%d"`, repo.ID))
	p := b.get(fmt.Sprintf("/workloads/new?repo=%d", repo.ID))
	p.is(t, http.StatusOK, "EXPOSE 3000", `value="shop-front"`, "Matches now:", "site/index.html")
	sent := with(p.fields(), "domain", "Shop.Example.com", "extra_domains", "shop.example.org\r\n", "redirects", "www.shop.example.com", "path_filter", "web/**\n!web/docs/**",
		"max_body", "10 mb", "route_timeout", "60s", "op", "deploy")
	sent = row(sent, 0, "env_name", "GREETING", "env_value", "hello & <b>\nthere")
	sent = row(sent, 1, "env_name", "TOKEN", "env_value", "s3cret-token")
	sent.Add("env_secret", "1")
	sent = row(sent, 0, "auth_name", "me", "auth_password", "s3cret-password")
	p = b.do(http.MethodPost, "/workloads", sent)
	got := w.saved("shop-front")
	dep := w.newest(got)
	p.leads(t, fmt.Sprintf("/workloads/shop-front/deployments/%d", dep.ID))
	if dep.Ref != "refs/heads/main" || dep.Commit != commit || dep.Cause != db.CauseManual || dep.Phase != db.PhaseQueued {
		t.Errorf("deployment %+v", dep)
	}
	if string(got.Config) != `{"port":3000,"healthcheck":{"path":"/up"},"deploy_strategy":"blue-green"}` || got.Source != "dockerfile" || got.Host != "shop.example.com" ||
		got.RefPattern != "main" || !got.Enabled || !slices.Equal(got.Paths, []string{"web/**", "!web/docs/**"}) || got.Routing.MaxBody != 10<<20 ||
		got.Routing.Aliases[0] != "shop.example.org" || got.Routing.Redirects[0] != "www.shop.example.com" || !got.ReportsStatus() {
		t.Errorf("saved %s %+v", got.Config, got)
	}
	if got.Env["GREETING"] != "hello & <b>\nthere" || got.Env["TOKEN"] != "s3cret-token" || len(got.Env) != 2 || !slices.Equal(got.Plain, []string{"GREETING"}) {
		t.Errorf("variables %q, plain %q", got.Env, got.Plain)
	}
	if bcrypt.CompareHashAndPassword([]byte(got.Routing.BasicAuth[0].Hash), []byte("s3cret-password")) != nil {
		t.Error("the password is another")
	}

	// The same form once more makes no second one, and deploys nothing.
	b.do(http.MethodPost, "/workloads", sent).leads(t, "/workloads/shop-front")
	if again := w.newest(got); again.ID != dep.ID {
		t.Errorf("deployment %d is there too", again.ID)
	}
	// Another form with that name is told.
	b.do(http.MethodPost, "/workloads", with(sent, "key", "other", "domain", "", "extra_domains", "", "redirects", "")).
		is(t, http.StatusUnprocessableEntity, "A workload called shop-front exists already")
	entries, err := w.db.AuditEntries(t.Context(), "workload", 0, 10)
	must(t, err)
	if len(entries) != 1 || entries[0].Action != "workload.created" || entries[0].Subject != "shop-front" {
		t.Errorf("audit %+v", entries)
	}
	settingsPage := b.get("/workloads/shop-front/settings")
	settingsPage.is(t, http.StatusOK, "hello &amp; &lt;b&gt;\nthere", `value="TOKEN"`)
	if strings.Contains(settingsPage.body, "s3cret") || strings.Contains(settingsPage.body, got.Routing.BasicAuth[0].Hash) {
		t.Error("a secret is on the page")
	}
	// What is not touched stays as it is.
	before := w.saved("shop-front")
	b.do(http.MethodPost, "/workloads/shop-front/settings", settingsPage.fields()).leads(t, "/workloads/shop-front/settings")
	after := w.saved("shop-front")
	after.UpdatedAt, after.Sealed, before.Sealed = before.UpdatedAt, nil, nil
	if fmt.Sprintf("%+v", after) != fmt.Sprintf("%+v", before) {
		t.Errorf("a form that nobody touched made\n%+v\nof\n%+v", after, before)
	}
}

// TestAFormWithEachFieldWrong: all that was typed is there again, but for the secrets, which are kept all the same.
func TestAFormWithEachFieldWrong(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	repo := w.repository("acme/shop")
	other := db.Workload{Name: "other", RepositoryID: repo.ID, Source: "image", Host: "taken.example.com"}
	must(t, w.db.CreateWorkload(t.Context(), &other))
	sent := b.get(fmt.Sprintf("/workloads/new?repo=%d", repo.ID)).fields()
	wrong := map[string]string{
		"name": "Магазин 🚀", "ref_pattern": "a b", "path_filter": "/abs", "domain": "https://x.example.com/", "extra_domains": "10.0.0.1", "redirects": "-x-.example.com",
		"port": "70000", "check_path": "up", "check_status": "999", "check_attempts": "many", "check_interval": "soon", "check_limit": "1", "check_start": "x",
		"memory": "lots", "cpus": "0", "max_body": "-1", "route_timeout": "never", "build_args": "no value", "context": `<script>alert("x")</script>`,
	}
	for name, value := range wrong {
		sent.Set(name, value)
	}
	sent.Set("check_kind", "http")
	sent = row(row(row(sent, 0, "env_name", "1A", "env_value", "x"), 1, "env_name", "KEY", "env_value", "s3cret-env"), 2, "env_name", "KEY", "env_value", "again")
	sent.Add("env_secret", "1")
	sent = row(row(sent, 0, "auth_name", "me", "auth_password", "s3cret-auth"), 0, "volume_name", "data", "volume_path", "relative")
	p := b.do(http.MethodPost, "/workloads", sent)
	p.is(t, http.StatusUnprocessableEntity, "<title>Error: ", "start the path with /"[1:], `href="#f-name"`, `href="#f-env_0"`, `href="#f-env_2"`, "KEY is listed twice", "volumes[0].path:")
	again := p.fields()
	for name, value := range wrong {
		if again.Get(name) != value {
			t.Errorf("%s is %q again, was %q", name, again.Get(name), value)
		}
		if !strings.Contains(p.body, `href="#f-`+name+`"`) && name != "context" {
			t.Errorf("nothing is said of %s", name)
		}
	}
	for _, id := range regexp.MustCompile(`href="#(f-[^"]*)"`).FindAllStringSubmatch(p.body, -1) {
		if !strings.Contains(p.body, ` id="`+id[1]+`"`) {
			t.Errorf("the summary leads to %s, which is not there", id[1])
		}
	}
	if strings.Contains(p.body, "s3cret") || strings.Contains(p.body, "<script>alert") {
		t.Error("a secret or a script is on the page")
	}
	// Corrected, without typing the secrets again.
	for name, value := range map[string]string{"name": "shop", "ref_pattern": "main", "path_filter": "", "domain": "taken.example.com", "extra_domains": "", "redirects": "", "port": "80",
		"check_path": "/up", "check_status": "", "check_attempts": "5", "check_interval": "2s", "check_limit": "", "check_start": "", "memory": "1GB", "cpus": "0,5", "max_body": "",
		"route_timeout": "", "build_args": "A=1", "context": "app", "deploy_strategy": "recreate"} {
		again.Set(name, value)
	}
	again = row(row(row(again, 0, "env_name", "A1"), 2, "env_name", "OTHER"), 0, "volume_path", "/data")
	p = b.do(http.MethodPost, "/workloads", again)
	p.is(t, http.StatusUnprocessableEntity, "taken.example.com is used by workload other")
	again = with(p.fields(), "domain", "Free.example.com", "op", "create")
	b.do(http.MethodPost, "/workloads", again).leads(t, "/workloads/shop")
	got := w.saved("shop")
	if got.Env["KEY"] != "s3cret-env" || got.Env["OTHER"] != "again" || slices.Contains(got.Plain, "KEY") || bcrypt.CompareHashAndPassword([]byte(got.Routing.BasicAuth[0].Hash), []byte("s3cret-auth")) != nil {
		t.Errorf("saved %+v", got)
	}
	if want := `{"deploy_strategy":"recreate","context":"app","build_args":{"A":"1"},"port":80,"healthcheck":{"path":"/up","interval":"2s","attempts":5},"memory":"1GB","cpus":0.5,"volumes":[{"name":"data","path":"/data"}]}`; !sameJSON(t, got.Config, want) {
		t.Errorf("config %s", got.Config)
	}
}

func TestTooMuch(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	repo := w.repository("acme/shop")
	sent := b.get(fmt.Sprintf("/workloads/new?repo=%d", repo.ID)).fields()
	b.do(http.MethodPost, "/workloads", with(sent, "domain", strings.Repeat("a", 4<<20))).is(t, http.StatusRequestEntityTooLarge, "the limit is", "Nothing was saved", `<a href="/">`)
	p := b.do(http.MethodPost, "/workloads", with(sent, "domain", strings.Repeat("a", 300_000), "ref_pattern", "kept"))
	p.is(t, http.StatusUnprocessableEntity, "At most 2000 characters", `value="kept"`)
	many := with(sent)
	for i := range 3000 {
		many.Add("env_name", "A"+strconv.Itoa(i))
		many.Add("env_value", "")
	}
	b.do(http.MethodPost, "/workloads", with(many, "op", "show")).is(t, http.StatusOK)
}

// TestS14 goes through the switch and the strategy, on create and on edit.
func TestS14_SwitchAndStrategyAreSaved(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	repo := w.repository("acme/shop")
	sent := with(b.get(fmt.Sprintf("/workloads/new?repo=%d", repo.ID)).fields(), "report_commit_status", "off", "deploy_strategy", "recreate", "op", "create")
	b.do(http.MethodPost, "/workloads", sent).leads(t, "/workloads/shop")
	if got := w.saved("shop"); got.ReportsStatus() || !sameJSON(t, got.Config, `{"report_commit_status":false,"deploy_strategy":"recreate"}`) {
		t.Errorf("saved %s", got.Config)
	}
	p := b.get("/workloads/shop/settings")
	sent = p.fields()
	if sent.Get("deploy_strategy") != "recreate" || slices.Contains(sent["report_commit_status"], "on") {
		t.Errorf("shown %v %v", sent["deploy_strategy"], sent["report_commit_status"])
	}
	sent.Del("report_commit_status") // a part of the form changes nothing else
	b.do(http.MethodPost, "/workloads/shop/settings", with(sent, "deploy_strategy", "blue-green")).leads(t, "/workloads/shop/settings")
	if got := w.saved("shop"); got.ReportsStatus() || !sameJSON(t, got.Config, `{"report_commit_status":false,"deploy_strategy":"blue-green"}`) {
		t.Errorf("saved %s", got.Config)
	}
	sent = b.get("/workloads/shop/settings").fields()
	sent["report_commit_status"] = []string{"off", "on"}
	b.do(http.MethodPost, "/workloads/shop/settings", with(sent, "deploy_strategy", "")).leads(t, "/workloads/shop/settings")
	if got := w.saved("shop"); !got.ReportsStatus() || !sameJSON(t, got.Config, `{}`) {
		t.Errorf("saved %s", got.Config)
	}
}

func TestS4_S5_ReasonsAreSaid(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	repo := w.repository("acme/shop")
	sent := with(b.get(fmt.Sprintf("/workloads/new?repo=%d", repo.ID)).fields(), "deploy_strategy", "blue-green", "source_type", "compose", "op", "create")
	b.do(http.MethodPost, "/workloads", sent).is(t, http.StatusUnprocessableEntity, "Not for a Compose file", `href="#f-deploy_strategy"`)
	b.do(http.MethodPost, "/workloads", with(sent, "op", "show")).is(t, http.StatusOK, "Not for a Compose file")
	volume := row(with(sent, "source_type", "image", "image", "acme/shop"), 0, "volume_name", "data", "volume_path", "/data")
	b.do(http.MethodPost, "/workloads", volume).is(t, http.StatusUnprocessableEntity, "Not with writable volume /data")
	volume.Add("volume_ro", "0")
	b.do(http.MethodPost, "/workloads", with(volume, "op", "show")).is(t, http.StatusOK)
	b.do(http.MethodPost, "/workloads", volume).leads(t, "/workloads/shop")
	storage := with(sent, "name", "deno", "key", "k2", "source_type", "static", "static_mode", "deno", "static_entry", "main.ts", "static_storage", "on")
	b.do(http.MethodPost, "/workloads", storage).leads(t, "/workloads/deno") // what is asked for is saved; recreate is what it gets
	b.get("/workloads/deno/settings").is(t, http.StatusOK, "Not with storage")
}
