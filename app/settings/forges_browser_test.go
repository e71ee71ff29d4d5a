package settings_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"tinyforge/app/forgetest"
	"tinyforge/db"
)

// button clicks a button that the page of somebody else has.
func (c *chromium) button(text string) {
	c.t.Helper()
	_, err := chromedp.RunResponse(c.ctx, chromedp.Click(fmt.Sprintf(`//button[normalize-space()=%q]`, text), chromedp.NodeVisible))
	if err != nil {
		c.t.Fatalf("press %q at %s: %v", text, c.at(), err)
	}
}

func (c *chromium) pick(name, value string) {
	c.t.Helper()
	c.do(chromedp.Click(fmt.Sprintf("[name=%q][value=%q]", name, value), chromedp.NodeVisible))
}

// words are what a person presses and reads, by language.
var words = map[string]map[string]string{
	"en": {"connect": "Connect a forge", "next": "Continue", "more": "Name of the app, GitHub Enterprise", "github": "Continue to GitHub",
		"taken": "already taken", "there": "Connected", "refresh": "Refresh repositories", "start": "Getting started", "workload": "Add a workload",
		"private": "in a private network", "save": "Connect", "works": "The connection works", "check": "Check the connection", "missed": "Look for missed pushes", "found": "1 missed push found"},
	"ru": {"connect": "Подключить Git-сервер", "next": "Продолжить", "more": "Имя приложения, GitHub Enterprise", "github": "Перейти на GitHub",
		"taken": "already taken", "there": "Подключён", "refresh": "Обновить список репозиториев", "start": "Начало работы", "workload": "Добавить приложение",
		"private": "в частной сети", "save": "Подключить", "works": "Соединение работает", "check": "Проверить подключение", "missed": "Найти пропущенные события", "found": "Найдено 1 пропущенное событие"},
}

// people sign in with the printed link, in their language.
func (c *chromium) people(lang string) {
	c.t.Helper()
	token, err := c.db.NewSignInLink(c.t.Context(), 0)
	must(c.t, err)
	c.open("/setup?token=" + token)
	c.fill("username", "ann")
	c.fill("password", password)
	c.press(map[string]string{"en": "Save and continue", "ru": "Сохранить и продолжить"}[lang])
}

// inspect checks what every page keeps to.
func (c *chromium) inspect(name string, script bool) {
	c.t.Helper()
	if script {
		c.accessible()
	}
	c.fits(320, 360, 768)
	c.picture(name)
	if text := c.text(); strings.Contains(text, "Something broke") || strings.Contains(text, "Произошла ошибка") {
		c.t.Errorf("%s is broken: %s", c.at(), text)
	}
}

// TestGitHubInABrowser goes from nothing to a list of repositories, and to the first push that is delivered.
func TestGitHubInABrowser(t *testing.T) {
	for lang, script := range map[string]bool{"en": true, "ru": false} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			w, s, say := newWorld(t), newForgeServer(t, forgetest.Options{Kind: forgetest.GitHub}), words[lang]
			must(t, s.UninstallApp("acme"))
			c := w.tab(lang, script)
			c.people(lang)
			c.inspect("start-"+lang, script)
			c.press(say["connect"])
			c.inspect("forges-new-"+lang, script)
			c.press("GitHub")
			c.inspect("github-"+lang, script)
			c.pick("webhook", "deliver")
			c.do(chromedp.Click("summary", chromedp.NodeVisible))
			c.fill("host", s.URL())
			c.fill("app_name", forgetest.TakenName)
			c.press(say["next"])
			c.says(say["private"])
			c.inspect("github-private-"+lang, script)
			c.pick("allow", "loopback")
			c.press(say["next"])
			c.inspect("register-"+lang, script)
			c.press(say["github"])
			c.button("Create GitHub App")
			c.says(say["taken"])
			c.do(chromedp.Clear("[name=name]"), chromedp.SendKeys("[name=name]", "tinyforge x7k2"))
			c.button("Create GitHub App") // and on to the installation page
			c.says("Install tinyforge x7k2")
			c.button("Install")
			c.says("acme/site", say["there"], say["refresh"])
			c.inspect("forge-github-"+lang, script)
			c.open("/start")
			c.says(say["workload"])

			workload := w.site(w.forgeNamed("github"))
			commit := s.push("Hello from GitHub")
			list, err := w.db.DeploymentsOf(t.Context(), workload.ID, 5)
			if err != nil || len(list) != 1 || list[0].Commit != commit {
				t.Errorf("the push to %s queued %+v, %v", commit, list, err)
			}
		})
	}
}

func TestTokenInABrowser(t *testing.T) {
	for lang, script := range map[string]bool{"en": false, "ru": true} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			w, s, say := newWorld(t), newForgeServer(t, forgetest.Options{Kind: forgetest.Gitea}), words[lang]
			c := w.tab(lang, script)
			c.people(lang)
			c.open("/forges")
			c.inspect("forges-empty-"+lang, script)
			c.open("/forges/new/gitea")
			c.inspect("gitea-"+lang, script)
			c.fill("base_url", s.URL())
			c.fill("token", s.Row("").Credentials.Token)
			c.press(say["save"])
			c.says(say["private"])
			c.inspect("gitea-private-"+lang, script)
			c.pick("allow", "loopback")
			c.press(say["check"])
			c.says(say["works"])
			c.inspect("gitea-works-"+lang, script)
			c.press(say["save"])
			c.says("acme/site")
			row, err := w.db.Forge(t.Context(), 1)
			must(t, err)
			w.site(row)
			c.press(say["missed"])
			c.says(say["found"])
			w.fill(row)
			c.open("/forges/1")
			c.inspect("forge-full-"+lang, script)
			c.open("/forges")
			c.inspect("forges-full-"+lang, script)
			for _, path := range []string{"/forges/1/edit", "/forges/1/delete", "/deliveries/1", "/deliveries/3", "/forges/github/created", "/forges/new/gitlab"} {
				c.open(path)
				c.inspect("forge"+strings.ReplaceAll(strings.TrimPrefix(path, "/forges"), "/", "-")+"-"+lang, script)
			}
		})
	}
}

// fill gives a forge more than fits on a page.
func (w *world) fill(row db.Forge) {
	w.t.Helper()
	for i := range int64(60) {
		must(w.t, w.db.SaveRepository(w.t.Context(), &db.Repository{ForgeID: row.ID, ExternalID: 1000 + i,
			FullName: fmt.Sprintf("a-very-long-name-of-an-organisation/with-a-repository-of-a-long-name-%d", i), DefaultBranch: "main", Private: i%2 == 0}))
	}
	repo := w.siteOf(row)
	for i := range 30 {
		_, err := w.db.Enqueue(w.t.Context(), &db.Delivery{ForgeID: row.ID, ExternalID: fmt.Sprintf("fill-%d", i), Event: "push", RepositoryID: repo.ID,
			Ref: "refs/heads/feature/<b>x</b>", After: strings.Repeat(fmt.Sprint(i%10), 40), Decision: "push to feature/x: no workload follows it"}, nil)
		must(w.t, err)
	}
	must(w.t, w.db.SetForgeFault(w.t.Context(), row.ID, "list repositories: the forge did not answer in time"))
	user, err := w.db.UserByName(w.t.Context(), "ann")
	must(w.t, err)
	must(w.t, w.db.CreateAppRequest(w.t.Context(), &db.AppRequest{Name: "github", URL: "https://github.com", AppName: "tinyforge-x7k2", UserID: user.ID}))
}

// TestForgesInEveryLanguage renders what no browser came by.
func TestForgesInEveryLanguage(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	_, row, _ := w.connected(b)
	w.fill(row)
	for _, lang := range []string{"en", "ru"} {
		b.post("/language", "language", lang, "back", "/").leads(t, "/")
		for path, status := range map[string]int{"/forges": 200, forgeAt(row, "?page=3&outcome=ignored&before=20"): 200, forgeAt(row, "?q=%25"): 200,
			forgeAt(row, "?page=-1&before=x"): 200, "/forges/99": 404, "/forges/x": 404, "/forges/new/github/1": 200, "/start": 200, forgeAt(row, "/delete"): http.StatusConflict} {
			if p := b.get(path); p.StatusCode != status || strings.Contains(p.body, "<b>x</b>") || !strings.Contains(p.body, `lang="`+lang+`"`) {
				t.Errorf("%s in %s answers %d: %s", path, lang, p.StatusCode, p.body)
			}
		}
	}
}
