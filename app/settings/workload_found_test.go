package settings_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"tinyforge/app/settings"
	"tinyforge/db"
)

func dockerfileFound() []settings.Found {
	return []settings.Found{
		{Source: "dockerfile", Folder: ".", Evidence: []string{"Dockerfile", "EXPOSE 3000"}, Config: json.RawMessage(`{"port":3000,"healthcheck":{"path":"/up"}}`)},
		{Source: "static", Folder: "site", Evidence: []string{"site/index.html"}, Config: json.RawMessage(`{"mode":"static","root":"site"}`)},
	}
}

func TestRepositoriesArePickedWithoutScript(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	b.get("/workloads/new").is(t, http.StatusOK, "/forges/new")
	first := w.repository("acme/shop")
	for i := range 249 {
		must(t, w.db.SaveRepository(t.Context(), &db.Repository{ForgeID: first.ForgeID, ExternalID: int64(100 + i), FullName: fmt.Sprintf("acme/tool-%03d", i), Private: true}))
	}
	last := "acme/tool-248"
	b.get("/workloads/new").is(t, http.StatusOK, "250 repositories", "1 to 20")
	b.get("/workloads/new?q=TOOL-248").is(t, http.StatusOK, last, "1 repository")
	b.get("/workloads/new?q=%3Cb%3E").is(t, http.StatusOK, "No repository matches &lt;b&gt;")
	path := "/workloads/new"
	for pages := 1; ; pages++ {
		p := b.get(path)
		if strings.Contains(p.body, last) {
			if pages != 13 {
				t.Errorf("found on page %d", pages)
			}
			break
		}
		links := regexp.MustCompile(`<a class="button" href="([^"]*)">More</a>`).FindStringSubmatch(p.body)
		if links == nil {
			t.Fatal("the last one is on no page")
		}
		path = html.UnescapeString(links[1])
	}
	b.get("/workloads/new?repo=99999").is(t, http.StatusNotFound, "no such repository")
	b.get("/workloads/new?page=-1&forge=x").is(t, http.StatusOK)
}

// TestWhatIsFound: another proposal is taken by a button, and a repository that cannot be read can be configured all the same.
func TestWhatIsFound(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	repo := w.repository("acme/shop")
	address := fmt.Sprintf("/workloads/new?repo=%d", repo.ID)
	w.code.found = dockerfileFound()
	sent := with(b.get(address).fields(), "name", "mine", "memory", "1GB", "report_commit_status", "off")
	p := b.do(http.MethodPost, "/workloads", with(sent, "op", "found.use:1"))
	used := p.fields()
	if used.Get("source_type") != "static" || used.Get("static_dir") != "site" || used.Get("name") != "mine" || used.Get("memory") != "1GB" || used.Get("report_commit_status") != "off" {
		t.Errorf("form is %v", used)
	}
	b.do(http.MethodPost, "/workloads", with(used, "op", "found.use:99")).is(t, http.StatusOK)
	b.do(http.MethodPost, "/workloads", with(used, "found", "nonsense", "op", "found.use:1")).is(t, http.StatusOK)
	b.get(address+"&ref=nowhere").is(t, http.StatusOK, "nowhere is not on the forge")
	w.code.found = nil
	b.get(address).is(t, http.StatusOK, "Nothing recognised in main")
	w.code.err = fmt.Errorf("the forge answered 502 <b>")
	b.get(address).is(t, http.StatusOK, "could not be read", "502 &lt;b&gt;")
	b.do(http.MethodPost, "/workloads", with(b.get(address).fields(), "op", "deploy")).leads(t, "/workloads/shop")
}
