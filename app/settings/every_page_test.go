package settings_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"tinyforge/db"
)

// shown says where a page is looked at: with nothing there, and with much of everything.
type shown struct{ empty, full []string }

func addresses(all ...string) []string { return all }

// everyPage are all pages by their pattern.
var everyPage = map[string]shown{
	"GET /":           {empty: addresses("/nothing", "/workloads/none", "/forges/99"), full: addresses("/nothing/<b>", "/deployments/99", "/workloads/shop/deployments/99")},
	"GET /start":      {empty: addresses("/start"), full: addresses("/start", "/start?check=address")},
	"GET /about":      {empty: addresses("/about"), full: addresses("/about")},
	"GET /audit":      {empty: addresses("/audit"), full: addresses("/audit", "/audit?kind=workload")},
	"GET /sign-in":    {empty: addresses("/sign-in"), full: addresses("/sign-in?next=%2Fworkloads%2F<b>")},
	"GET /setup":      {empty: addresses("/setup?token=none")},
	"GET /settings":   {empty: addresses("/settings"), full: addresses("/settings")},
	"GET /workloads":  {empty: addresses("/workloads"), full: addresses("/workloads", "/workloads?q=<b>&state=failed", "/workloads?state=paused")},
	"GET /forges":     {empty: addresses("/forges"), full: addresses("/forges")},
	"GET /forges/new": {empty: addresses("/forges/new"), full: addresses("/forges/new")},

	"GET /settings/password":     {empty: addresses("/settings/password"), full: addresses("/settings/password")},
	"GET /settings/sessions":     {empty: addresses("/settings/sessions"), full: addresses("/settings/sessions")},
	"GET /settings/tokens":       {empty: addresses("/settings/tokens"), full: addresses("/settings/tokens")},
	"GET /settings/users":        {empty: addresses("/settings/users"), full: addresses("/settings/users")},
	"GET /settings/users/new":    {empty: addresses("/settings/users/new"), full: addresses("/settings/users/new")},
	"GET /settings/users/{id}":   {empty: addresses("/settings/users/1"), full: addresses("/settings/users/1", "/settings/users/2")},
	"GET /settings/sign-in/{id}": {full: addresses("/settings/sign-in/{forge}")},
	"GET /settings/proxy":        {empty: addresses("/settings/proxy"), full: addresses("/settings/proxy")},
	"GET /settings/networks":     {empty: addresses("/settings/networks"), full: addresses("/settings/networks")},
	"GET /settings/retention":    {empty: addresses("/settings/retention"), full: addresses("/settings/retention")},

	"GET /workloads/new":                {empty: addresses("/workloads/new"), full: addresses("/workloads/new?repo={repo}", "/workloads/new", "/workloads/new?q=<b>&page=3")},
	"GET /workloads/{name}":             {full: addresses("/workloads/shop", "/workloads/{long}")},
	"GET /workloads/{name}/settings":    {full: addresses("/workloads/{long}/settings", "/workloads/shop/settings")},
	"GET /workloads/{name}/delete":      {full: addresses("/workloads/shop/delete", "/workloads/{long}/delete")},
	"GET /workloads/{name}/rollback":    {full: addresses("/workloads/shop/rollback?to=1")},
	"GET /workloads/{name}/deployments": {full: addresses("/workloads/shop/deployments", "/workloads/shop/deployments?state=failed&ref=<b>", "/workloads/{long}/deployments")},
	"GET /workloads/{name}/deployments/{number}": {full: addresses("/workloads/shop/deployments/{failed}", "/workloads/shop/deployments/1", "/workloads/shop/deployments/2?q=b",
		"/workloads/shop/deployments/{running}", "/workloads/shop/deployments/{queued}")},

	"GET /forges/new/github":       {empty: addresses("/forges/new/github"), full: addresses("/forges/new/github")},
	"GET /forges/new/github/{id}":  {full: addresses("/forges/new/github/{request}")},
	"GET /forges/github/created":   {empty: addresses("/forges/github/created"), full: addresses("/forges/github/created?code=x&state=<b>")},
	"GET /forges/github/installed": {full: addresses("/forges/github/installed?installation_id=1&state=<b>")},
	"GET /forges/new/gitea":        {empty: addresses("/forges/new/gitea"), full: addresses("/forges/new/gitea")},
	"GET /forges/new/gitlab":       {empty: addresses("/forges/new/gitlab"), full: addresses("/forges/new/gitlab")},
	"GET /forges/{id}":             {full: addresses("/forges/{forge}", "/forges/{forge}?q=<b>", "/forges/{forge}?page=2&outcome=ignored", "/forges/{github}")},
	"GET /forges/{id}/edit":        {full: addresses("/forges/{forge}/edit", "/forges/{github}/edit")},
	"GET /forges/{id}/delete":      {full: addresses("/forges/1/delete", "/forges/{github}/delete")},
	"GET /deliveries/{id}":         {full: addresses("/deliveries/1", "/deliveries/30")},
}

// noPages answer with something else than a page of ours.
var noPages = map[string]string{
	"GET /{$}":                  "it leads on",
	"GET /sign-in/with/{forge}": "it leads on",
	"GET /sign-in/callback":     "it leads on",
	"GET /deployments/{number}": "it leads on",
	"GET /workloads/{name}/env": "it leads on",
	"GET /audit.csv":            "it is a file",
	"GET /workloads/{name}/deployments/{number}/log.txt": "it is a file",
	"GET /events":                  "it does not end",
	"GET /workloads/{name}/events": "it does not end",
	"GET /workloads/{name}/deployments/{number}/events": "it does not end",
}

// refusal tells whether a page says why something is not to be had.
func refusal(address string) bool {
	for _, part := range []string{"/nothing", "/none", "/99", "token=none", "/created", "/installed", "/forges/1/delete"} {
		if strings.Contains(address, part) {
			return true
		}
	}
	return false
}

// TestEveryPageIsLookedAt: a route that is new has to be entered above.
func TestEveryPageIsLookedAt(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, pattern := range newWorld(t).pages.Patterns() {
		if !strings.HasPrefix(pattern, "GET ") {
			continue
		}
		known[pattern] = true
		if _, is := everyPage[pattern]; is == (noPages[pattern] != "") {
			t.Errorf("%s is not looked at, or twice", pattern)
		}
	}
	for pattern := range everyPage {
		if !known[pattern] {
			t.Errorf("there is no %s", pattern)
		}
	}
}

// inspector looks at pages and at where their links lead.
type inspector struct {
	*browser
	mux   *http.ServeMux
	asked map[string]int // statuses by address
}

func (w *world) inspector(b *browser) *inspector {
	mux := http.NewServeMux()
	w.pages.Mount(mux)
	return &inspector{b, mux, map[string]int{}}
}

// look demands of a page whatever every page keeps to.
func (i *inspector) look(address, lang string) {
	i.t.Helper()
	p := i.get(address)
	if refusal(address) == (p.StatusCode == http.StatusOK) || p.StatusCode >= http.StatusInternalServerError {
		i.t.Errorf("%s in %s answers %d:\n%s", address, lang, p.StatusCode, p.body)
		return
	}
	i.check(p, lang)
}

// check is look at a page that is there already.
func (i *inspector) check(p page, lang string) {
	i.t.Helper()
	at := p.Request.Method + " " + p.Request.URL.String() + " in " + lang
	m := readMarkup(p.body)
	for _, fault := range m.faults {
		i.t.Errorf("%s: %s", at, fault)
	}
	if !strings.Contains(p.body, `<html lang="`+lang+`">`) || strings.Contains(p.body, "<script>document") || strings.Contains(p.body, "<img src=x") {
		i.t.Errorf("%s is not in this language, or has foreign HTML in it", at)
	}
	for _, l := range m.links() {
		if fault := i.follow(p.Request.URL, l); fault != "" {
			i.t.Errorf("%s: %s %s %s", at, l.method, l.address, fault)
		}
	}
}

// follow says what is wrong with an address of ours on a page.
func (i *inspector) follow(from *url.URL, l link) string {
	to, err := from.Parse(l.address)
	if err != nil {
		return err.Error()
	}
	if to.Host != from.Host || strings.HasPrefix(l.address, "#") {
		return ""
	}
	_, pattern := i.mux.Handler(httptest.NewRequestWithContext(i.t.Context(), l.method, to.RequestURI(), nil))
	if pattern == "" || pattern == "GET /" || pattern == "POST /" {
		return "has no route"
	}
	if l.method != http.MethodGet || noPages[pattern] == "it does not end" {
		return ""
	}
	address := to.RequestURI()
	if _, asked := i.asked[address]; !asked {
		i.asked[address] = i.get(address).StatusCode
	}
	switch status := i.asked[address]; {
	case status == http.StatusForbidden, status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status >= http.StatusInternalServerError:
		return "answers " + http.StatusText(status)
	}
	return ""
}

func (i *inspector) speak(lang string) {
	i.t.Helper()
	i.post("/language", "language", lang, "back", "/").leads(i.t, "/")
}

// TestEveryEmptyPage looks at all pages of a Tinyforge in which there is only its first administrator.
func TestEveryEmptyPage(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, withHealth)
	i := w.inspector(w.owner())
	for _, lang := range []string{"en", "ru"} {
		i.speak(lang)
		for _, page := range everyPage {
			for _, address := range page.empty {
				if address != "/sign-in" {
					i.look(address, lang)
				}
			}
		}
		i.stranger(lang)
	}
}

// stranger looks at what is there for people who are not signed in, and at what a mistake of theirs leads to.
func (i *inspector) stranger(lang string) {
	i.t.Helper()
	b := i.world.browser()
	b.lang = lang
	s := i.world.inspector(b)
	s.look("/sign-in", lang)
	s.check(b.post("/sign-in", "username", "<b>", "password", "x"), lang)
	s.check(b.post("/workloads", "name", "shop <b>", "env_value", "one\ntwo"), lang)
	token, err := i.db.NewSignInLink(i.t.Context(), 1)
	must(i.t, err)
	s.look("/setup?token="+token, lang)
	s.check(b.post("/setup", "token", token, "password", "short"), lang)
}

// TestEveryFullPage looks at all pages with much on them, as everybody who may look at them.
func TestEveryFullPage(t *testing.T) {
	t.Parallel()
	f := newFull(t)
	i := f.inspector(f.owner)
	for _, lang := range []string{"en", "ru"} {
		i.speak(lang)
		for pattern, page := range everyPage {
			for _, address := range page.full {
				if pattern != "GET /sign-in" {
					i.look(f.address(address), lang)
				}
			}
		}
		i.mistakes(lang)
	}
	for _, role := range []db.Role{db.Viewer, db.Deployer} { // who are led nowhere where they may not go
		i := f.inspector(f.as(role))
		for pattern, page := range everyPage {
			for _, address := range page.full {
				if pattern != "GET /sign-in" && i.get(f.address(address)).StatusCode == http.StatusOK {
					i.look(f.address(address), "en")
				}
			}
		}
	}
}

// mistakes looks at the pages that forms with errors lead to.
func (i *inspector) mistakes(lang string) {
	i.t.Helper()
	for _, address := range []string{"/settings", "/settings/password", "/settings/tokens", "/settings/users", "/settings/users/2", "/settings/networks", "/settings/retention",
		"/settings/sign-in/1", "/workloads/shop/settings", "/workloads/shop/deploy", "/workloads/shop/delete", "/forges/new/github", "/forges/new/gitea", "/forges/new/gitlab", "/forges/1/edit"} {
		p := i.post(address, "base_url", "x", "host", "x", "username", nasty, "role", "x", "password", "x", "new_password", "x", "ref", nasty, "name", nasty, "confirm_name", nasty,
			"domain", nasty, "source_type", "x", "networks", nasty, "client_id", nasty, "releases", "x", "time_zone", nasty, "token_name", "", "language", "x", "webhook", "x")
		if p.StatusCode != http.StatusUnprocessableEntity && p.StatusCode != http.StatusConflict {
			i.t.Errorf("POST %s answers %d to %s", address, p.StatusCode, p.Header.Get("Location"))
			continue
		}
		i.check(p, lang)
	}
}
