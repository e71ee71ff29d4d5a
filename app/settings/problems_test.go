package settings_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"tinyforge/app/settings"
	"tinyforge/db"
)

// slowDisk answers when it may.
type slowDisk struct {
	ailing
	may chan struct{}
}

func (s slowDisk) Free(ctx context.Context) (int64, error) {
	<-s.may
	return s.ailing.Free(ctx)
}

func TestProblems(t *testing.T) {
	slow := slowDisk{may: make(chan struct{})}
	w := newWorldOf(t, func(c *settings.Config) { c.Health = slow })
	b := w.ownerAt("https://tinyforge.example.com")
	newShop(w)
	if p := b.get("/workloads"); strings.Contains(p.body, "note warn\">") { // and it does not wait
		t.Errorf("there are problems:\n%s", p.body)
	}
	close(slow.may)
	w.pages.WaitForDisk()
	b.get("/workloads").is(t, http.StatusOK, "Only 1", "no build starts below", `<a href="/settings/retention">`)
	for _, name := range []string{"b", "c", "d"} {
		forge := db.Forge{Name: name, Kind: "gitea", URL: "https://" + name + ".example.com"}
		must(t, w.db.SaveForge(t.Context(), &forge))
		must(t, w.db.SetForgeFault(t.Context(), forge.ID, "it did not answer"))
	}
	p := b.get("/workloads")
	p.is(t, http.StatusOK, "b did not answer", "c did not answer", `<a href="/forges/2">Details</a>`)
	if n := strings.Count(p.body, `<p class="note warn"><`); n != 3 {
		t.Errorf("%d problems are shown, want 3", n)
	}
	if p := w.as(db.Viewer).get("/workloads"); strings.Contains(p.body, "/settings/retention") {
		t.Error("a viewer is sent to settings")
	}
}

func TestNoAddressIsAProblem(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	newShop(w)
	must(t, w.db.SetSettings(t.Context(), map[string]string{settings.OptionPublicURL: ""}))
	b.get("/workloads").is(t, http.StatusOK, "has no address yet")
}
