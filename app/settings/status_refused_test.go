package settings_test

import (
	"net/http"
	"strings"
	"testing"

	"tinyforge/db"
)

func TestRefusedStatus(t *testing.T) {
	s := newShop(newWorld(t))
	b := s.owner()
	page := "/forges/" + number(s.repo.ForgeID)
	dep := s.live("A", "First")
	key := db.CommitKey{RepositoryID: s.repo.ID, Commit: dep.Commit}
	for why, want := range map[string]string{"403": "The forge refused the commit status of deployment 1 (it answered 403)", "silent": "", "": ""} {
		must(t, s.db.GiveUpReport(t.Context(), key, []db.Deployment{*dep}, why))
		p := b.get(page)
		p.is(t, http.StatusOK, want)
		if says := strings.Contains(p.body, "refused the commit status"); says != (want != "") || says != strings.Contains(p.body, "the right to write to the repository") {
			t.Errorf("after %q it is said to be refused: %v", why, says)
		}
	}
}
