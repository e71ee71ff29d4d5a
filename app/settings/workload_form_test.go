package settings_test

import (
	"encoding/json"
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

	"tinyforge/app/settings"
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

// row fills in a row of a list.
func row(values url.Values, i int, pairs ...string) url.Values {
	all := with(values)
	for n := 0; n+1 < len(pairs); n += 2 {
		all[pairs[n]][i] = pairs[n+1]
	}
	return all
}

func dockerfileFound() []settings.Found {
	return []settings.Found{
		{Source: "dockerfile", Folder: ".", Evidence: []string{"Dockerfile", "EXPOSE 3000"}, Config: json.RawMessage(`{"port":3000,"healthcheck":{"path":"/up"}}`)},
		{Source: "static", Folder: "site", Evidence: []string{"site/index.html"}, Config: json.RawMessage(`{"mode":"static","root":"site"}`)},
	}
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

func TestRepositoriesArePickedWithoutScript(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	b.get("/workloads/new").is(t, http.StatusOK, "/forges/new")
	first := w.repository("acme/shop")
	for i := range 249 {
		must(t, w.db.SaveRepository(t.Context(), &db.Repository{ForgeID: first.ForgeID, ExternalID: int64(100 + i), FullName: fmt.Sprintf("acme/tool-%03d", i), Private: true}))
	}
	last := "acme/tool-248"
	b.get("/workloads/new").is(t, http.StatusOK, "250 repositories", "1 to 20")
	b.get("/workloads/new?q=TOOL-248").is(t, http.StatusOK, last, "1 repository")
	b.get("/workloads/new?q=%3Cb%3E").is(t, http.StatusOK, "No repository matches &lt;b&gt;")
	path := "/workloads/new"
	for pages := 1; ; pages++ {
		p := b.get(path)
		if strings.Contains(p.body, last) {
			if pages != 13 {
				t.Errorf("found on page %d", pages)
			}
			break
		}
		links := regexp.MustCompile(`<a class="button" href="([^"]*)">More</a>`).FindStringSubmatch(p.body)
		if links == nil {
			t.Fatal("the last one is on no page")
		}
		path = html.UnescapeString(links[1])
	}
	b.get("/workloads/new?repo=99999").is(t, http.StatusNotFound, "no such repository")
	b.get("/workloads/new?page=-1&forge=x").is(t, http.StatusOK)
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

func sameJSON(t *testing.T, got json.RawMessage, want string) bool {
	t.Helper()
	var a, b any
	must(t, json.Unmarshal(got, &a))
	must(t, json.Unmarshal([]byte(want), &b))
	return fmt.Sprint(a) == fmt.Sprint(b)
}

func TestTooMuch(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	repo := w.repository("acme/shop")
	sent := b.get(fmt.Sprintf("/workloads/new?repo=%d", repo.ID)).fields()
	b.do(http.MethodPost, "/workloads", with(sent, "domain", strings.Repeat("a", 1<<20))).is(t, http.StatusRequestEntityTooLarge, "the limit is")
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
	asJSON.is(t, http.StatusOK, "&#34;port&#34;: 81", "••••••••")
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

// TestWhatIsFound: another proposal is taken by a button, and a repository that cannot be read can be configured all the same.
func TestWhatIsFound(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	repo := w.repository("acme/shop")
	address := fmt.Sprintf("/workloads/new?repo=%d", repo.ID)
	w.code.found = dockerfileFound()
	sent := with(b.get(address).fields(), "name", "mine", "memory", "1GB", "report_commit_status", "off")
	p := b.do(http.MethodPost, "/workloads", with(sent, "op", "found.use:1"))
	used := p.fields()
	if used.Get("source_type") != "static" || used.Get("static_dir") != "site" || used.Get("name") != "mine" || used.Get("memory") != "1GB" || used.Get("report_commit_status") != "off" {
		t.Errorf("form is %v", used)
	}
	b.do(http.MethodPost, "/workloads", with(used, "op", "found.use:99")).is(t, http.StatusOK)
	b.do(http.MethodPost, "/workloads", with(used, "found", "nonsense", "op", "found.use:1")).is(t, http.StatusOK)
	b.get(address+"&ref=nowhere").is(t, http.StatusOK, "nowhere is not on the forge")
	w.code.found = nil
	b.get(address).is(t, http.StatusOK, "Nothing recognised in main")
	w.code.err = fmt.Errorf("the forge answered 502 <b>")
	b.get(address).is(t, http.StatusOK, "could not be read", "502 &lt;b&gt;")
	b.do(http.MethodPost, "/workloads", with(b.get(address).fields(), "op", "deploy")).leads(t, "/workloads/shop")
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
