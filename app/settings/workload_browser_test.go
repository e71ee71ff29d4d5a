package settings_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"tinyforge/db"
)

// spoken are the words that a test needs of a language.
type spoken struct {
	lang, continueWith, create, createOnly, save, saved, report, recreate, blueGreen, asJSON, asForm, compose, reason, fix, search, more, parse string
}

var languages = []spoken{
	{"en", "Save and continue", "Create and deploy", "Create without deploying", "Save", "Saved.", "Report commit status", "Recreate (short interruption)",
		"Blue-green (no interruption)", "Edit as JSON", "Edit as a form", "Compose file", "Not for a Compose file", "Fix 1 error", "Search", "More rows", "Read the pasted text"},
	{"ru", "Сохранить и продолжить", "Создать и развернуть", "Создать без развёртывания", "Сохранить", "Сохранено.", "Отправлять статус коммита", "С перезапуском (recreate)",
		"Без остановки (blue-green)", "Править как JSON", "Править в форме", "Compose-файл", "Недоступно для Compose-файла", "Исправьте 1 ошибку", "Найти", "Добавить строки", "Разобрать вставленный текст"},
}

// signIn makes the first administrator in the tab's language.
func (c *chromium) signIn(s spoken) {
	c.t.Helper()
	token, err := c.db.NewSignInLink(c.t.Context(), 0)
	must(c.t, err)
	c.open("/setup?token=" + token)
	c.fill("username", "ann")
	c.fill("password", password)
	if s.lang == "ru" {
		c.choose("language", "ru")
	}
	c.press(s.continueWith)
}

// choose clicks a radio or checkbox.
func (c *chromium) choose(name, value string) {
	c.t.Helper()
	c.do(chromedp.Click(fmt.Sprintf(`input[name=%q][value=%q]`, name, value)))
}

// sees tells whether somebody who looks at the page sees an element.
func (c *chromium) sees(selector string) bool {
	c.t.Helper()
	return ask(c, chromedp.Evaluate[bool](fmt.Sprintf("document.querySelector(%q)?.checkVisibility() ?? false", selector)))
}

// TestS14_InABrowser makes a workload and changes it, with the switch and the strategies, in both languages, with script and
// without.
func TestS14_InABrowser(t *testing.T) {
	for _, s := range languages {
		for _, script := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s script %v", s.lang, script), func(t *testing.T) {
				t.Parallel()
				axe := script && s.lang == "en"
				w := newWorld(t)
				w.repository("acme/shop")
				w.code.found = dockerfileFound()
				c := w.tab(s.lang, script)
				c.signIn(s)
				c.open("/workloads/new")
				c.picture("workload-pick-" + s.lang)
				c.press("acme/shop")
				c.says(s.report, s.recreate, s.blueGreen, "EXPOSE 3000")
				c.picture("workload-new-" + s.lang)
				if axe {
					c.accessible()
				}
				c.fits(320, 360, 768)
				if role := ask(c, chromedp.Evaluate[string](`document.querySelector("[name=report_commit_status][type=checkbox]").getAttribute("role")`)); role != "switch" {
					t.Errorf("the switch is a %q", role)
				}
				c.do(chromedp.Focus("#f-report_commit_status"), chromedp.KeyEvent(" ")) // by the keyboard
				c.choose("source_type", "compose")
				c.press(s.createOnly)
				c.says(s.fix, s.reason)
				c.picture("workload-error-" + s.lang)
				if axe {
					c.accessible()
				}
				if c.sees("#f-context") || !c.sees("#f-compose_service") {
					t.Error("the fields are not those of the source")
				}
				c.choose("source_type", "dockerfile")
				c.choose("deploy_strategy", "recreate")
				c.press(s.createOnly)
				if got := w.saved("shop"); got.ReportsStatus() || !sameJSON(t, got.Config, `{"port":3000,"healthcheck":{"path":"/up"},"report_commit_status":false,"deploy_strategy":"recreate"}`) {
					t.Errorf("saved %s", got.Config)
				}

				w.live(w.saved("shop"))
				c.open("/workloads/shop/settings")
				c.picture("workload-settings-" + s.lang)
				if axe {
					c.accessible()
				}
				c.fits(320, 360, 768)
				c.do(chromedp.Focus("#f-report_commit_status"), chromedp.KeyEvent(" "))
				c.choose("deploy_strategy", "blue-green")
				c.press(s.asJSON)
				if text := ask(c, chromedp.Value("#f-config")); !strings.Contains(text, `"deploy_strategy": "blue-green"`) {
					t.Errorf("the JSON is %s", text)
				}
				c.picture("workload-json-" + s.lang)
				if axe {
					c.accessible()
				}
				c.fits(320, 768)
				c.press(s.asForm)
				c.press(s.save)
				c.says(s.saved)
				if got := w.saved("shop"); !got.ReportsStatus() || !sameJSON(t, got.Config, `{"port":3000,"healthcheck":{"path":"/up"},"deploy_strategy":"blue-green"}`) {
					t.Errorf("saved %s", got.Config)
				}
				c.open("/workloads/shop/delete")
				c.picture("workload-delete-" + s.lang)
				if axe {
					c.accessible()
				}
				c.fits(320, 768)
			})
		}
	}
}

// TestFindingARepositoryInABrowser: without script, the last of 250 is found by a search and by going on.
func TestFindingARepositoryInABrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.repository("acme/shop")
	for i := range 249 {
		must(t, w.db.SaveRepository(t.Context(), &db.Repository{ForgeID: first.ForgeID, ExternalID: int64(100 + i), FullName: fmt.Sprintf("acme/tool-%03d", i), DefaultBranch: "main"}))
	}
	c := w.tab("ru", false)
	c.signIn(languages[1])
	c.open("/workloads/new")
	c.fits(320, 360, 768)
	c.says("250 репозиториев")
	c.fill("q", "tool 248")
	c.press("Найти")
	c.says("1 репозиторий")
	c.press("acme/tool-248")
	c.says("Новое приложение из acme/tool-248")

	c = w.tab("en", true) // with script it is found while it is typed
	must(t, w.db.SetLanguage(t.Context(), 1, "en"))
	c.signInAs("ann", password, "Sign in")
	c.open("/workloads/new")
	c.says("250 repositories")
	c.fill("q", "tool 24")
	c.eventually(`document.querySelector("[role=status]").textContent.startsWith("12 repositories") && document.querySelectorAll("tbody tr").length === 12`)
	if focused := ask(c, chromedp.Evaluate[string](`document.activeElement.name + location.search`)); focused != "q?forge=&q=tool+24" {
		t.Errorf("at %s", focused)
	}
	c.accessible()
	c.press("acme/tool-248")
	c.says("New workload from acme/tool-248")
}

// TestRowsInABrowser types what people type: a name in Russian, HTML, a secret, a pasted file.
func TestRowsInABrowser(t *testing.T) {
	t.Parallel()
	for _, script := range []bool{true, false} {
		w := newWorld(t)
		repo := w.repository("acme/shop")
		must(t, w.db.CreateWorkload(t.Context(), &db.Workload{Name: "shop", RepositoryID: repo.ID, Source: "image", Config: json.RawMessage(`{"image":"a"}`), Enabled: true,
			Env: map[string]string{"TOKEN": "s3cret", "TITLE": "<img src=x onerror=alert(1)>"}, Plain: []string{"TITLE"}}))
		s := languages[0]
		c := w.tab("en", script)
		c.signIn(s)
		c.open("/workloads/shop/settings")
		c.do(chromedp.Click(`//summary[normalize-space()="Paste .env"]`))
		c.do(chromedp.SendKeys(`[name=env_paste]`, "ГОРОД=1\nCITY=\"Москва 🚀\"\nDB_PASSWORD=s3cret-two\n"))
		c.press(s.parse)
		c.says("2 variables read", "Line 1 is not NAME=value")
		if script {
			c.accessible()
		}
		c.picture("workload-env")
		c.press(s.save) // what was not understood is not left out without a word
		c.says(s.fix)
		c.do(chromedp.Clear("[name=env_paste]"))
		c.press(s.save)
		c.says(s.saved)
		if got := w.saved("shop"); got.Env["CITY"] != "Москва 🚀" || got.Env["DB_PASSWORD"] != "s3cret-two" || got.Env["TOKEN"] != "s3cret" || got.Env["TITLE"] != "<img src=x onerror=alert(1)>" {
			t.Errorf("saved %q", got.Env)
		}
	}
}

// TestTwoTabsInABrowser: the later one is told, and what it has typed is there.
func TestTwoTabsInABrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	repo := w.repository("acme/shop")
	workload := db.Workload{Name: "shop", RepositoryID: repo.ID, Source: "image", Config: json.RawMessage(`{"image":"a"}`), Enabled: true}
	must(t, w.db.CreateWorkload(t.Context(), &workload))
	s := languages[1]
	c := w.tab("ru", true)
	c.signIn(s)
	c.open("/workloads/shop/settings")
	other := w.saved("shop")
	other.Config, other.Host = json.RawMessage(`{"image":"other"}`), "other.example.com"
	must(t, w.db.ChangeWorkload(t.Context(), &other))
	c.fill("domain", "mine.example.com")
	c.press(s.save)
	c.says("Эти настройки изменены", "other.example.com", "mine.example.com")
	c.accessible()
	c.fits(320, 768)
	c.picture("workload-conflict")
	c.press(s.save)
	c.says(s.saved)
	if got := w.saved("shop"); got.Host != "mine.example.com" {
		t.Errorf("saved %q", got.Host)
	}
}
