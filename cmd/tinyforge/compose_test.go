package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tinyforge/app/forgetest"
	"tinyforge/db"
	"tinyforge/deploy/deploytest"
)

// composeFile is a stack of the sample program and of one that keeps data and never changes.
func composeFile(version string, env ...string) string {
	return fmt.Sprintf(`services:
  web:
    build: .
    environment: [VERSION=%s%s]
    depends_on: [keeper]
    restart: unless-stopped
  keeper:
    build: .
    environment: [VERSION=keeper]
    volumes: ["data:/data"]
    restart: unless-stopped
volumes: {data: {}}
`, version, strings.Join(append([]string{""}, env...), ", "))
}

const stackConfig = "{service: web, healthcheck: {path: /up, interval: 200ms, attempts: 8}}"

// newManagedService is a service behind an Nginx Proxy Manager.
func newManagedService(t *testing.T) (*service, *deploytest.NPM) {
	s, manager := prepareManagedService(t)
	s.start()
	return s, manager
}

// prepareManagedService is newManagedService without a process.
func prepareManagedService(t *testing.T) (*service, *deploytest.NPM) {
	nginx := deploytest.NewFakeNginx(t)
	manager := deploytest.NewNPM(t, nginx)
	s := prepareService(t, "TINYFORGE_ROUTER=npm", "TINYFORGE_PROXY_HTTP=off", "TINYFORGE_NPM_URL="+manager.URL, "TINYFORGE_NPM_PROXY="+nginx.Addr,
		"TINYFORGE_NPM_IDENTITY="+manager.Identity, "TINYFORGE_NPM_PASSWORD="+manager.Password, "TINYFORGE_NPM_FORWARD=address", "TINYFORGE_NPM_GRACE=1s")
	s.site = "http://" + nginx.Addr
	s.secrets = append(s.secrets, manager.Password, "token-1")
	return s, manager
}

// TestComposeOnGitLabThroughNginxProxyManager: a stack goes live, a broken one brings the last good one back, and the next
// one goes live; what keeps the data is left alone. A stack is changed in place and nginx does not make requests wait: those
// that come in between fail, and are told in the log of this test.
func TestComposeOnGitLabThroughNginxProxyManager(t *testing.T) {
	t.Parallel()
	s, _ := newManagedService(t)
	visitors := composeToLive(t, s, forgetest.Options{Kind: forgetest.GitLab})
	visitors.end()
	t.Logf("load: %d requests, %d failed while the stack was changed in place, answers by version: %v", visitors.sent, len(visitors.faults), visitors.versions)
}

// TestComposeWithoutAFailedRequest: the built-in proxy makes requests wait while the routed service is made anew.
func TestComposeWithoutAFailedRequest(t *testing.T) {
	t.Parallel()
	composeToLive(t, newService(t), forgetest.Options{Kind: forgetest.GitHub}).stop()
}

func composeToLive(t *testing.T, s *service, options forgetest.Options) *load {
	forge, web := newForge(t, options), unique("web")
	c := newClone(t, forge, "acme/site")
	s.apply(forge, manifestOf(web, "compose", stackConfig))
	first := c.push("compose.yaml", composeFile("one"))
	c.ends(first, "success", "Live in ")
	s.serves(web, "one")
	keeper := s.keeper(web)

	visitors := startLoad(t, s.site, web+".test", everybody(true)...)
	sick := c.push("compose.yaml", composeFile("two", "UNHEALTHY=1"))
	c.ends(sick, "failure", "Gate failed: GET /up answered 500", "the previous release still serves")
	s.serves(web, "one")
	if tail := s.deployments(web)[0].Tail; !strings.Contains(tail, "sampleapp two: listening") {
		t.Errorf("the end of the failed stack's log is %q", tail)
	}
	third := c.push("compose.yaml", composeFile("three"))
	c.ends(third, "success", "Live in ")
	s.serves(web, "three")
	if now := s.keeper(web); now != keeper {
		t.Errorf("the service that keeps the data was replaced: %s, then %s", keeper, now)
	}
	for _, d := range s.deployments(web) {
		if d.Strategy != db.Stack {
			t.Errorf("deployment %d is a %s", d.ID, d.Strategy)
		}
	}

	refused := c.push("compose.yaml", composeFile("four")+"networks: {default: {name: host, external: true}}\n")
	c.ends(refused, "failure", "network default: external host is refused")
	s.serves(web, "three")

	s.ask("rollback", web)
	s.reaches(web, first, db.PhaseLive)
	s.serves(web, "one")
	return visitors
}

// keeper is the id of the container that keeps a stack's data.
func (s *service) keeper(workload string) string {
	s.Helper()
	all := newDockerAPI(s.T).containers(s.instance)
	i := slices.IndexFunc(all, func(c container) bool {
		return strings.HasPrefix(c.Labels["tinyforge.release"], "tf-"+workload+"-") && c.Labels["com.docker.compose.service"] == "keeper"
	})
	if i < 0 || all[i].State != "running" {
		s.Fatalf("nothing keeps the data: %+v", all)
	}
	return all[i].ID
}
