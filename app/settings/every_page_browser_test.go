package settings_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"tinyforge/db"
)

// TestEveryPageInABrowser looks at all pages with much on them as axe does, light and dark, and on a narrow screen. A tab has its
// time, so that there are several.
func TestEveryPageInABrowser(t *testing.T) {
	t.Parallel()
	f := newFull(t)
	must(t, f.db.SetLanguage(t.Context(), 1, "ru"))
	var all, variants []string // of which axe looks at the first of each pattern
	for _, page := range everyPage {
		for i, address := range page.full {
			if all = append(all, f.address(address)); i > 0 {
				variants = append(variants, f.address(address))
			}
		}
	}
	slices.Sort(all)
	for part := range slices.Chunk(all, 12) {
		c := f.tab("ru", true)
		c.signInAs("ann", password, "Войти")
		for _, address := range part {
			c.open(address)
			if !slices.Contains(variants, address) {
				c.accessible()
			}
			c.fits(320, 360)
			c.picture("every" + strings.NewReplacer("/", "-", "?", "-", "<", "", ">", "").Replace(address))
			if strings.Contains(c.title(), "broken") {
				t.Errorf("%s runs what stands in a text", address)
			}
		}
	}
	f.emptyInABrowser()
}

// emptyInABrowser looks at the pages that say that there is nothing yet.
func (f *full) emptyInABrowser() {
	f.t.Helper()
	w := newWorldOf(f.t, withHealth)
	w.owner()
	must(f.t, w.db.SetLanguage(f.t.Context(), 1, "ru"))
	must(f.t, w.db.SaveUser(f.t.Context(), &db.User{Name: "eve", Role: db.Viewer}))
	c := w.tab("ru", true)
	c.signInAs("ann", password, "Войти")
	for _, address := range []string{"/start", "/workloads", "/workloads/new", "/forges", "/nothing", "/settings/tokens", "/audit"} {
		c.open(address)
		c.accessible()
		c.fits(320, 360)
		c.picture("empty" + strings.ReplaceAll(address, "/", "-"))
	}
}

func (c *chromium) title() string { c.t.Helper(); return ask(c, chromedp.Title()) }
