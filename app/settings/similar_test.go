package settings_test

import (
	"net/http"
	"strings"
	"testing"

	"tinyforge/db"
)

func TestSimilarWorkloads(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	repo := w.repository("acme/shop")
	for _, name := range []string{"shop", "shop-admin", "web-shop", "docs", "gone"} {
		must(t, w.db.CreateWorkload(t.Context(), &db.Workload{Name: name, RepositoryID: repo.ID, Source: "image", Config: []byte(`{"image":"a"}`), Enabled: true}))
	}
	must(t, w.db.DeleteWorkload(t.Context(), w.saved("gone").ID, false))
	for asked, want := range map[string]string{
		"shp": "shop", "SHOP2": "shop", "shop-admni": "shop shop-admin", "sho": "shop shop-admin", "web": "web-shop", "dosc": "docs",
		"gone": "", "x": "", "nothing-like-it": "", strings.Repeat("shop", 20): "", "<b>shop": "shop web-shop",
	} {
		p := b.get("/workloads/" + asked)
		p.is(t, http.StatusNotFound, "There is no workload called")
		var got []string
		for _, name := range []string{"shop", "shop-admin", "web-shop", "docs", "gone"} {
			if strings.Contains(p.body, `<a href="/workloads/`+name+`">`+name+`</a>`) {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s leads to %q, want %q", asked, got, want)
		}
	}
	b.get("/workloads/shp").is(t, http.StatusNotFound, "Did you mean")
	if p := w.browser().get("/workloads/shp"); strings.Contains(p.body, "shop") {
		t.Error("names are told to somebody who is not signed in")
	}
}
