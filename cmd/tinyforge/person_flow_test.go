package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"tinyforge/app/forgetest"
)

// steps are what a person presses and reads on the way, by language.
type steps struct {
	lang, save, connect, goOn, private, toGitHub, connected, add, found, create, live, failed, kept, back string
}

var english = steps{"en", "Save and continue", "Connect a forge", "Continue", "in a private network", "Continue to GitHub", "Connected", "Add a workload", "Found in main",
	"Create and deploy", "Live", "Failed", "kept serving all the time", "Roll back to 1"}

var russian = steps{"ru", "Сохранить и продолжить", "Подключить Git-сервер", "Продолжить", "в частной сети", "Перейти на GitHub", "Подключён", "Добавить приложение", "Найдено в main",
	"Создать и развернуть", "Работает", "Ошибка", "Всё это время работала версия", "Откатить к версии 1"}

// TestFromTheLinkToALiveSite: somebody follows the printed link, reads pages, and pushes.
func TestFromTheLinkToALiveSite(t *testing.T) {
	t.Parallel()
	t.Run("English", func(t *testing.T) { t.Parallel(); fromTheLink(t, english, true) })
	t.Run("Russian without script", func(t *testing.T) { t.Parallel(); fromTheLink(t, russian, false) })
}

func fromTheLink(t *testing.T, say steps, script bool) {
	s, forge := newService(t, "TINYFORGE_PUBLIC_URL="), newForge(t, forgetest.Options{Kind: forgetest.GitHub})
	site := unique("site") // what the form calls the workload, and so its containers
	c, host := newClone(t, forge, "acme/"+site), site+".test"
	c.release("one")
	s.must(forge.UninstallApp("acme"))
	p, begun := newPerson(t, say, script), time.Now()

	p.opens(s.control + "/setup?token=" + s.link(s.process.log.String()))
	p.picture("1-setup")
	p.types("password", "correct horse battery staple")
	p.presses(say.save)
	p.picture("2-start")
	p.connectsGitHub(forge)
	p.picture("5-repositories")
	p.makesTheWorkload(host)
	p.sees(say.live, host)
	p.picture("7-first-deployment")
	s.answers(host, "one")
	t.Logf("from the link to a live site: %d clicks, %d fields, %s", p.clicks, p.fields, time.Since(begun).Round(time.Second))

	p.presses(site)
	second := c.release("two")
	c.ends(second, "success", "Live in ")
	if !script { // a page on which nothing runs does not load itself again
		p.do(chromedp.Reload())
	}
	p.sees(second[:7], "Change Dockerfile")
	p.picture("8-workload")
	s.answers(host, "two")
	p.readsAFailure(c)
	p.presses(site)
	p.goesBack(s, host)
}

// answers waits until the site of a host shows a version.
func (s *service) answers(host, version string) {
	s.Helper()
	s.await(host+" shows "+version, func() bool {
		code, body := s.get(s.site+"/", host)
		return code == http.StatusOK && strings.TrimSpace(body) == version
	})
}

// connectsGitHub goes from the first page to the list of repositories. What the real GitHub would not ask for is told apart:
// this one is an Enterprise server in a private network.
func (p *person) connectsGitHub(forge *forgetest.Server) {
	p.Helper()
	p.presses(p.say.connect)
	p.presses("GitHub")
	before := *p
	p.picks(`[name=webhook][value=deliver]`)
	p.picks("main summary")
	p.types("host", forge.URL())
	p.presses(p.say.goOn)
	p.sees(p.say.private)
	p.picture("3-private")
	p.picks(`[name=allow][value=loopback]`)
	p.Logf("of which for an Enterprise server in a private network: %d clicks, %d fields", p.clicks-before.clicks, p.fields-before.fields)
	p.presses(p.say.goOn)
	p.picture("4-register")
	p.presses(p.say.toGitHub)
	p.presses("Create GitHub App")
	p.presses("Install")
	p.sees(p.say.connected, "acme/site-")
}

// makesTheWorkload makes one of the repository on whose forge's page the person is.
func (p *person) makesTheWorkload(host string) {
	p.Helper()
	p.presses(p.say.add)
	p.sees(p.say.found)
	p.types("domain", host)
	p.picture("6-form")
	p.presses(p.say.create)
}

// readsAFailure: a push that cannot be built is explained on its page, to which the commit status leads.
func (p *person) readsAFailure(c *clone) {
	p.Helper()
	broken := c.push("Dockerfile", dockerfile("VERSION=three", "EXIT_AFTER=0s", "EXIT_CODE=3")+"RUN [\"/sampleapp\"]\n")
	status := c.ends(broken, "failure", "the previous release still serves")
	p.opens(status.TargetURL)
	p.sees(p.say.failed, p.say.kept, "exit code: 3")
	p.picture("9-failure")
	p.presses(strings.TrimSpace(askPage(p, chromedp.Text(`#failed a[href*="#L"]`))))
	p.sees("Build failed")
}

// goesBack lets the release before serve again, from the page of the workload on which the person is.
func (p *person) goesBack(s *service, host string) {
	p.Helper()
	p.presses(p.say.back)
	p.picture("10-rollback")
	p.presses(p.say.back)
	p.sees(p.say.live)
	s.answers(host, "one")
	p.picture("11-rolled-back")
}
