package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tinyforge/app/forgetest"
	"tinyforge/db"
	"tinyforge/db/dbtest"
)

// blueGreen is the config of a workload with a healthcheck that does not take long.
const blueGreen = "{deploy_strategy: blue-green, healthcheck: {path: /up, interval: 200ms, attempts: 8}}"

// manifestOf is a workload of acme/site with a host of its own; more are further keys.
func manifestOf(name, source, config string, more ...string) string {
	text := fmt.Sprintf("  - name: %s\n    forge: forge\n    repository: acme/site\n    source: %s\n    host: %s.test\n    config: %s\n",
		name, source, name, config)
	for _, line := range more {
		text += "    " + line + "\n"
	}
	return text
}

// TestPushToLive: each forge, and each kind of database with more than one of them; neither knows of the other.
func TestPushToLive(t *testing.T) {
	t.Parallel()
	sqlite, postgres := dbtest.SQLite, dbtest.Postgres
	for name, test := range map[string]struct {
		forge    forgetest.Options
		database func(testing.TB) string
	}{
		"GitHub and SQLite":                {forgetest.Options{Kind: forgetest.GitHub}, sqlite},
		"GitHub and PostgreSQL":            {forgetest.Options{Kind: forgetest.GitHub}, postgres},
		"Gitea and SQLite":                 {forgetest.Options{Kind: forgetest.Gitea}, sqlite},
		"Forgejo and PostgreSQL":           {forgetest.Options{Kind: forgetest.Gitea, Forgejo: true}, postgres},
		"GitLab and SQLite":                {forgetest.Options{Kind: forgetest.GitLab}, sqlite},
		"GitLab that signs and PostgreSQL": {forgetest.Options{Kind: forgetest.GitLab, Signing: true}, postgres},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pushToLive(t, test.forge, test.database(t))
		})
	}
}

func pushToLive(t *testing.T, options forgetest.Options, database string) {
	s := newService(t, "TINYFORGE_DATABASE="+database)
	forge, web := newForge(t, options), unique("web")
	c := newClone(t, forge, "acme/site")
	s.apply(forge, manifestOf(web, "dockerfile", blueGreen))
	if hooks := forge.Hooks("acme/site"); options.Kind != forgetest.GitHub && (len(hooks) == 0 || hooks[0].URL != s.hook()) {
		t.Errorf("the hooks are %+v", hooks) // for a moment there are two: serve and apply are at it at once
	}

	first := c.release("one")
	status := c.ends(first, "success", "Live in ")
	s.reaches(web, first, db.PhaseLive)
	if states := c.states(first); states != "[pending success]" {
		t.Errorf("the statuses are %s", states)
	}
	if hooks := forge.Hooks("acme/site"); options.Kind != forgetest.GitHub && len(hooks) != 1 {
		t.Errorf("in the end the hooks are %+v", hooks)
	}
	if code, page := s.get(status.TargetURL, ""); code != http.StatusSeeOther || strings.Contains(page, first) || !strings.HasPrefix(status.TargetURL, s.control) {
		t.Errorf("%s shows %d %s", status.TargetURL, code, page)
	}
	s.serves(web, "one")

	visitors := newLoad(t, s.site, web+".test")
	second := c.release("two")
	c.ends(second, "success", "Live in ")
	s.serves(web, "two")
	third := c.release("three", "UNHEALTHY=1")
	c.ends(third, "failure", "Gate failed: GET /up answered 500", "the previous release still serves")
	s.serves(web, "two")
	visitors.stop()
	if visitors.versions["one"] == 0 || visitors.versions["two"] == 0 || visitors.versions["three"] > 0 {
		t.Errorf("visitors saw %v", visitors.versions)
	}
	if all := s.deployments(web); len(all) != 3 || all[0].Phase != db.PhaseFailed || !strings.Contains(all[0].Tail, "sampleapp three: listening") ||
		all[1].Phase != db.PhaseLive || all[2].Phase != db.PhaseRetired {
		t.Errorf("the deployments are %+v", all)
	}
	if _, page := s.get(s.control+"/metrics", ""); !strings.Contains(page, `tinyforge_deployments{phase="live"} 1`) {
		t.Error("the metrics do not tell of the live deployment")
	}
}

// TestRefs: what each of several workloads of one repository follows.
func TestRefs(t *testing.T) {
	t.Parallel()
	s, forge := newService(t), newForge(t, forgetest.Options{Kind: forgetest.GitHub})
	c := newClone(t, forge, "acme/site")
	web, api, tagged := unique("web"), unique("api"), unique("tagged")
	s.apply(forge, manifestOf(web, "dockerfile", "{deploy_strategy: blue-green, dockerfile: web.docker, healthcheck: {path: /up}}", "paths: ['**', '!api.docker']")+
		manifestOf(api, "dockerfile", "{dockerfile: api.docker, healthcheck: {path: /up, interval: 200ms, attempts: 3}}", "ref: '{main,next}'", "paths: [api.docker]")+
		manifestOf(tagged, "dockerfile", "{dockerfile: web.docker}", "ref: 'tags/v*'"))

	c.commit("web.docker", dockerfile("VERSION=web1"))
	first := c.push("api.docker", dockerfile("VERSION=api1"))
	status := c.ends(first, "success", web+": Live in ", api+": Live in ")
	s.serves(web, "web1")
	s.serves(api, "api1")

	second := c.push("api.docker", dockerfile("VERSION=api2", "UNHEALTHY=1"))
	c.ends(second, "failure", "Gate failed: GET /up answered 500", "the previous release still serves")
	third := c.push("api.docker", dockerfile("VERSION=api3"))
	c.ends(third, "success")
	s.serves(web, "web1")
	s.serves(api, "api3")

	c.git("push", "--quiet", "origin", "HEAD:refs/heads/next", "HEAD:refs/heads/feature", "HEAD:refs/tags/other")
	c.answered(third[:7] + " is live already")
	c.answered("push to feature: no workload follows it")
	c.answered("push to tags/other: no workload follows it")
	if len(s.deployments(tagged)) > 0 || len(s.deployments(api)) != 3 || c.states(third) != "[pending success]" {
		t.Errorf("something was deployed; the statuses are %s", c.states(third))
	}

	c.git("push", "--quiet", "origin", first+":refs/tags/v1.0")
	s.reaches(tagged, first, db.PhaseLive)
	s.serves(tagged, "web1")
	if len(s.deployments(web)) != 1 || s.deployments(tagged)[0].Ref != "refs/tags/v1.0" {
		t.Errorf("the deployment is %+v", s.deployments(tagged)[0])
	}
	s.await("the status tells of the tag too", func() bool {
		return c.last(first).State == "success" && c.last(first).ID != status.ID && strings.Contains(c.last(first).Description, tagged)
	})
}

// answered demands that a delivery was answered with these words.
func (c *clone) answered(words string) {
	c.Helper()
	all, err := c.forge.Settle(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	var answers []string
	for _, d := range all {
		if strings.Contains(string(d.Answer), words) && d.Code == http.StatusOK {
			return
		}
		answers = append(answers, fmt.Sprintf("%d %s", d.Code, d.Answer))
	}
	c.Errorf("no delivery was answered 200 with %q: %q", words, answers)
}
