package main

import (
	"net/http"
	"strings"
	"testing"

	"tinyforge/app/forgetest"
	"tinyforge/db"
)

// TestS15_PushToLiveThroughNginxProxyManager: the whole way on real Docker, with an Nginx Proxy Manager that reloads late.
func TestS15_PushToLiveThroughNginxProxyManager(t *testing.T) {
	t.Parallel()
	s, manager := newManagedService(t)
	forge, web := newForge(t, forgetest.Options{Kind: forgetest.GitHub}), unique("web")
	c := newClone(t, forge, "acme/site")
	s.apply(forge, manifestOf(web, "dockerfile", blueGreen))

	c.ends(c.release("one"), "success", "Live in ")
	s.serves(web, "one")
	visitors := startLoad(t, s.site, web+".test", everybody(true)...)
	c.ends(c.release("two"), "success", "Live in ")
	s.serves(web, "two")
	c.ends(c.release("three", "UNHEALTHY=1"), "failure", "Gate failed: GET /up answered 500", "the previous release still serves")
	s.serves(web, "two")
	visitors.stop()
	if visitors.versions["one"] == 0 || visitors.versions["two"] == 0 || visitors.versions["three"] > 0 {
		t.Errorf("visitors saw %v", visitors.versions)
	}

	manager.Break("server { nonsense_directive on; }") // somebody else's host: nobody's can be moved now
	c.ends(c.release("four"), "failure", "was not moved", "answered 500: its nginx is down, or")
	s.serves(web, "two")
	manager.Break("")
	last := c.release("five")
	c.ends(last, "success", "Live in ")
	s.reaches(web, last, db.PhaseLive)
	s.serves(web, "five")
	if code, text := s.get(s.control+"/readyz", ""); code != http.StatusOK || !strings.Contains(text, `"proxy":"ok"`) {
		t.Errorf("readyz answers %d %s", code, text)
	}
}
