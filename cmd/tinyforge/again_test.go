package main

import (
	"bytes"
	"strings"
	"testing"

	"tinyforge/app/forgetest"
	"tinyforge/db"
)

// ask runs a command as the operator does in a second shell, and returns what it printed.
func (s *service) ask(args ...string) string {
	s.Helper()
	var out bytes.Buffer
	if err := run(s.Context(), args, s.env, &out, &out); err != nil {
		s.Fatalf("tinyforge %s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
	s.inspect(out.String())
	return out.String()
}

// TestRollbackRedeployCancel: what the operator can ask for, under load.
func TestRollbackRedeployCancel(t *testing.T) {
	t.Parallel()
	s, forge := newService(t), newForge(t, forgetest.Options{Kind: forgetest.GitHub})
	c, web := newClone(t, forge, "acme/site"), unique("web")
	s.apply(forge, manifestOf(web, "dockerfile", "{deploy_strategy: blue-green, healthcheck: {path: /up, interval: 200ms, attempts: 1000}}"))
	first := c.release("one")
	c.ends(first, "success")
	visitors := newLoad(t, s.site, web+".test")
	second := c.release("two")
	c.ends(second, "success")
	s.serves(web, "two")

	s.ask("rollback", web)
	s.reaches(web, first, db.PhaseLive)
	s.serves(web, "one")
	if log := s.deploymentLog(web); strings.Contains(log, "Fetched") || !strings.Contains(log, "Going back to the release of deployment 1") {
		t.Errorf("the log of the rollback:\n%s", log)
	}
	s.await("the commit says so", func() bool { return c.states(first) == "[pending success pending success]" })

	s.ask("redeploy", web)
	s.await("it is deployed again", func() bool { d := s.deployments(web)[0]; return d.ID == 4 && d.Phase == db.PhaseLive })
	s.serves(web, "one")

	third := c.release("three", "UP_AFTER=10m")
	s.reaches(web, third, db.PhaseGating)
	s.ask("cancel", web)
	c.ends(third, "failure", "Cancelled; the previous release still serves")
	s.reaches(web, third, db.PhaseCancelled)
	s.serves(web, "one")
	visitors.stop()

	s.ask("remove", web)
	s.await("everything of it is gone", func() bool { return len(s.releases(web)) == 0 })
	if code, _ := s.get(s.site+"/", web+".test"); code != 404 {
		t.Errorf("a removed workload answers %d", code)
	}
}
