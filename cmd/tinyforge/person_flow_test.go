package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"tinyforge/app/forgetest"
)

// TestFromTheLinkToALiveSite: somebody follows the printed link, reads pages, and pushes.
func TestFromTheLinkToALiveSite(t *testing.T) {
	t.Parallel()
	s, forge := newService(t, "TINYFORGE_PUBLIC_URL="), newForge(t, forgetest.Options{Kind: forgetest.GitHub})
	c, host := newClone(t, forge, "acme/site"), unique("site")+".test"
	c.release("one")
	s.must(forge.UninstallApp("acme"))
	p, begun := newPerson(t), time.Now()

	p.opens(s.control + "/setup?token=" + s.link(s.process.log.String()))
	p.picture("run-1-setup")
	p.types("password", "correct horse battery staple")
	p.presses("Save and continue")
	p.picture("run-2-start")
	p.connectsGitHub(forge)
	p.picture("run-5-repositories")
	p.makesTheWorkload(host)
	p.sees("Live", host)
	p.picture("run-7-first-deployment")
	if code, body := s.get(s.site+"/", host); code != http.StatusOK || strings.TrimSpace(body) != "one" {
		t.Errorf("the site answers %d %s", code, body)
	}
	t.Logf("from the link to a live site: %d clicks, %d fields, %s", p.clicks, p.fields, time.Since(begun).Round(time.Second))

	p.presses("site")
	second := c.release("two")
	c.ends(second, "success", "Live in ")
	p.sees(second[:7], "Change Dockerfile")
	p.picture("run-8-workload")
	s.await("the site answers with what was pushed", func() bool {
		code, body := s.get(s.site+"/", host)
		return code == http.StatusOK && strings.TrimSpace(body) == "two"
	})
	p.readsAFailure(c)
	p.goesBack(s, host)
}

// connectsGitHub goes from the first page to the list of repositories. What the real GitHub would not ask for is told apart:
// this one is an Enterprise server in a private network.
func (p *person) connectsGitHub(forge *forgetest.Server) {
	p.Helper()
	p.presses("Connect a forge")
	p.presses("GitHub")
	before := *p
	p.picks(`[name=webhook][value=deliver]`)
	p.picks("main summary")
	p.types("host", forge.URL())
	p.presses("Continue")
	p.sees("in a private network")
	p.picture("run-3-private")
	p.picks(`[name=allow][value=loopback]`)
	p.Logf("of which for an Enterprise server in a private network: %d clicks, %d fields", p.clicks-before.clicks, p.fields-before.fields)
	p.presses("Continue")
	p.picture("run-4-register")
	p.presses("Continue to GitHub")
	p.presses("Create GitHub App")
	p.presses("Install")
	p.sees("Connected", "acme/site")
}

// makesTheWorkload makes one of the repository on whose forge's page the person is.
func (p *person) makesTheWorkload(host string) {
	p.Helper()
	p.presses("Add a workload")
	p.sees("Found in main")
	p.types("domain", host)
	p.picture("run-6-form")
	p.presses("Create and deploy")
}

// readsAFailure: a push that cannot be built is explained on its page, to which the commit status leads.
func (p *person) readsAFailure(c *clone) {
	p.Helper()
	broken := c.push("Dockerfile", dockerfile("VERSION=three", "EXIT_AFTER=0s", "EXIT_CODE=3")+"RUN [\"/sampleapp\"]\n")
	status := c.ends(broken, "failure", "the previous release still serves")
	p.opens(status.TargetURL)
	p.sees("Failed", "ended with code 3", "the same command fails outside Tinyforge too", "kept serving all the time", "sampleapp three: will exit with 3")
	p.picture("run-9-failure")
	line := askPage(p, chromedp.Evaluate[string](`document.querySelector("#failed a[href*='#L']").textContent`))
	p.presses(line)
	p.sees("sampleapp three: will exit with 3")
}

// goesBack lets the release before serve again, from the page of the workload.
func (p *person) goesBack(s *service, host string) {
	p.Helper()
	p.presses("site")
	p.presses("Roll back to 1")
	p.picture("run-10-rollback")
	p.presses("Roll back to 1")
	p.sees("Live")
	s.await("the site answers with what was live before", func() bool {
		code, body := s.get(s.site+"/", host)
		return code == http.StatusOK && strings.TrimSpace(body) == "one"
	})
	p.picture("run-11-rolled-back")
}
