package settings_test

import (
	"net/http"
	"testing"

	"tinyforge/db"
)

// TestSlashesAtTheEnd: they lead to the page without them, and to no other host.
func TestSlashesAtTheEnd(t *testing.T) {
	b := newWorld(t).owner()
	for path, to := range map[string]string{
		"/workloads/": "/workloads", "/a%20b/": "/a%20b", "/%D0%B6/": "/%D0%B6",
		"/%09/evil.example/": "", "/%5Cevil.example/": "", "/%5C%09/evil.example/": "", "/%0A/evil.example/": "", "/%2F/evil.example/": "",
		"/a%5Cb/": "", "/nowhere": "",
	} {
		p := b.get(path)
		want := http.StatusPermanentRedirect
		if to == "" {
			want = http.StatusNotFound
		}
		if p.StatusCode != want || p.Header.Get("Location") != to {
			t.Errorf("%s answers %d to %q, want %d to %q", path, p.StatusCode, p.Header.Get("Location"), want, to)
		}
	}
}

// TestPagesThatAnswerAForm lead back to a page, and do not load themselves again.
func TestPagesThatAnswerAForm(t *testing.T) {
	s := newShop(newWorld(t))
	b := s.owner()
	s.push("A", "First") // while something runs, the page loads itself again
	if p := b.get("/workloads/shop"); p.between(`http-equiv="refresh"`, ">") == "" || p.between("refresh=off", ">") == "" {
		t.Errorf("it does not: %s", p.body)
	}
	for path, want := range map[string]string{"/workloads/shop/deploy": "/workloads/shop", "/workloads?repo=1": "/workloads/new?ref=main&amp;repo=1",
		"/settings/users": "/settings/users/new", "/workloads/shop/settings": "/workloads/shop/settings"} {
		p := b.post(path, "ref", "main", "repo", "1", "name", "new")
		if path == "/workloads/shop/deploy" {
			p = b.post(path, "ref", "nowhere")
		}
		p.is(t, http.StatusUnprocessableEntity, `name="back" value="`+want+`"`)
		if p.between(`http-equiv="refresh"`, ">") != "" || p.between("refresh=off", ">") != "" {
			t.Errorf("%s loads itself again", path)
		}
	}
	b.post("/workloads/none/pause").is(t, http.StatusNotFound, `name="back" value="/"`)
	s.browser().post("/workloads/shop/pause").is(t, http.StatusUnauthorized, `name="back" value="/sign-in"`)
	b.get("/workloads/shop?refresh=off").is(t, http.StatusOK, `name="back" value="/workloads/shop?refresh=off"`)
	must(t, s.db.Cancel(t.Context(), s.newest(s.workload).ID))
	s.through(s.live("B", "Second"), db.PhaseLive)
	b.post("/workloads/shop/deploy", "ref", hash("B")).is(t, http.StatusOK, `name="again"`, `name="back" value="/workloads/shop"`)
}
