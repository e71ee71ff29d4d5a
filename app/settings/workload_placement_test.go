package settings_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tinyforge/app/settings"
	"tinyforge/db"
)

// withSwarm is a world with Docker Swarm.
func withSwarm(t *testing.T) *world {
	t.Helper()
	return newWorldOf(t, func(c *settings.Config) { c.Runtimes = []string{"docker", "swarm"} })
}

func TestPlacementForm(t *testing.T) {
	w := withSwarm(t)
	b := w.owner()
	repo := w.repository("acme/shop")
	p := b.get(fmt.Sprintf("/workloads/new?repo=%d", repo.ID))
	p.is(t, http.StatusOK, "This server&#39;s Docker", "Docker Swarm", `<input type="radio" name="runtime" value="docker" checked>`)
	sent := with(p.fields(), "source_type", "image", "image", "acme/shop", "op", "create")
	for typed, says := range map[string]string{"0": "whole number from 1 to 1000", "1001": "whole number from 1 to 1000", "2.5": "whole number", "many": "whole number", "2": "Only on Docker Swarm"} {
		b.do(http.MethodPost, "/workloads", with(sent, "replicas", typed)).is(t, http.StatusUnprocessableEntity, says, `href="#f-replicas"`)
	}
	b.do(http.MethodPost, "/workloads", with(sent, "constraints", "node.role==worker")).is(t, http.StatusUnprocessableEntity, "Only on Docker Swarm", `href="#f-constraints"`)
	b.do(http.MethodPost, "/workloads", with(sent, "replicas", "1")).leads(t, "/workloads/shop") // which it does anyway
	w.hasConfig(`{"image":"acme/shop","deploy_strategy":"blue-green","replicas":1}`)

	sent = b.get("/workloads/shop/settings").fields()
	b.do(http.MethodPost, "/workloads/shop/settings", with(sent, "runtime", "swarm", "replicas", "3", "constraints", " node.role==worker \r\n\r\nnode.labels.disk == ssd\r\n", "memory", "64MB")).
		leads(t, "/workloads/shop/settings")
	w.hasConfig(`{"image":"acme/shop","deploy_strategy":"blue-green","replicas":3,"memory":"64MB","runtime":"swarm","constraints":["node.role==worker","node.labels.disk == ssd"]}`)
	p = b.get("/workloads/shop/settings")
	p.is(t, http.StatusOK, `name="runtime" value="swarm" checked`, `name="replicas" type="text" value="3"`, "node.role==worker\nnode.labels.disk == ssd</textarea>")
	before := string(w.saved("shop").Config)
	b.do(http.MethodPost, "/workloads/shop/settings", p.fields()).leads(t, "/workloads/shop/settings")
	if got := string(w.saved("shop").Config); got != before {
		t.Errorf("a form that nobody touched made %s of %s", got, before)
	}
	b.post("/language", "language", "ru", "back", "/workloads")
	b.do(http.MethodPost, "/workloads/shop/settings", with(p.fields(), "runtime", "docker")).is(t, http.StatusUnprocessableEntity, "Только в Docker Swarm", "Docker этого сервера")
	b.do(http.MethodPost, "/workloads/shop/settings", with(b.get("/workloads/shop/settings").fields(), "runtime", "docker", "replicas", "", "constraints", "")).
		leads(t, "/workloads/shop/settings")
	w.hasConfig(`{"image":"acme/shop","deploy_strategy":"blue-green","memory":"64MB"}`)
}

// TestPlacementIsOffered: the Swarm where it is, and where a workload says it already.
func TestPlacementIsOffered(t *testing.T) {
	const choice = `name="runtime"`
	for name, c := range map[string]struct {
		there          []string
		config         string
		offered, swarm bool
	}{
		"docker alone":            {nil, `{"image":"a"}`, false, false},
		"docker alone, said":      {[]string{"docker"}, `{"image":"a","runtime":"docker"}`, false, false},
		"a swarm":                 {[]string{"docker", "swarm"}, `{"image":"a"}`, true, true},
		"no swarm, but asked for": {nil, `{"image":"a","runtime":"swarm"}`, true, true},
		"replicas of nothing":     {nil, `{"image":"a","replicas":3}`, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldOf(t, func(s *settings.Config) { s.Runtimes = c.there })
			b := w.owner()
			repo := w.repository("acme/shop")
			must(t, w.db.CreateWorkload(t.Context(), &db.Workload{Name: "shop", RepositoryID: repo.ID, Source: "image", Enabled: true, Config: json.RawMessage(c.config)}))
			p := b.get("/workloads/shop/settings")
			if p.says(choice) != c.offered || p.says(choice+` value="swarm"`) != c.swarm || p.StatusCode != http.StatusOK {
				t.Errorf("offered %v, the swarm %v: %d", p.says(choice), p.says(choice+` value="swarm"`), p.StatusCode)
			}
			b.do(http.MethodPost, "/workloads/shop/settings", with(p.fields(), "memory", "64MB"))
			if strings.Contains(c.config, `"replicas"`) {
				return // it cannot be saved
			}
			w.hasConfig(strings.TrimSuffix(c.config, "}") + `,"memory":"64MB"}`)
			if p = b.get("/workloads/shop/settings?view=json"); p.says(choice) || !p.says("constraints") {
				t.Error("the JSON does not have all")
			}
		})
	}
}

// TestPlacementMovesWithTheSource: another source of one container runs where the one before did; a Compose file does not.
func TestPlacementMovesWithTheSource(t *testing.T) {
	w := withSwarm(t)
	b := w.owner()
	repo := w.repository("acme/shop")
	placed := `"runtime":"swarm","replicas":2,"constraints":["node.role==worker"],"secret_files":["KEY"]`
	must(t, w.db.CreateWorkload(t.Context(), &db.Workload{Name: "shop", RepositoryID: repo.ID, Source: "image", Enabled: true, Config: json.RawMessage(`{"image":"a",` + placed + `}`)}))
	b.do(http.MethodPost, "/workloads/shop/settings", with(b.get("/workloads/shop/settings").fields(), "source_type", "dockerfile")).leads(t, "/workloads/shop/settings")
	w.hasConfig(`{` + placed + `}`)
	sent := b.get("/workloads/shop/settings").fields()
	found := `[{"source":"static","folder":".","evidence":["index.html"],"config":{"root":"site"}},{"source":"compose","folder":".","evidence":["compose.yaml"],"config":{}}]`
	p := b.do(http.MethodPost, "/workloads/shop/settings", with(sent, "found", found, "op", "found.use:0"))
	b.do(http.MethodPost, "/workloads/shop/settings", with(p.fields(), "op", "save")).leads(t, "/workloads/shop/settings")
	w.hasConfig(`{"root":"site",` + placed + `}`)
	p = b.do(http.MethodPost, "/workloads/shop/settings", with(b.get("/workloads/shop/settings").fields(), "source_type", "compose"))
	p.leads(t, "/workloads/shop/settings")
	w.hasConfig(`{}`)
}
