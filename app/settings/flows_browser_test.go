package settings_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"tinyforge/db"
)

// nextStop presses Tab on the page and tells of what has the focus then: "" of something new that is seen to have it.
const nextStop = `(() => {
	const e = document.activeElement, stops = window.stops ??= []
	if (e === document.body || e === stops[0]) return "round"
	if (stops.includes(e)) return "trapped at " + e.outerHTML
	stops.push(e)
	const s = getComputedStyle(e), r = e.getBoundingClientRect()
	const seen = s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 && r.width > 0 && r.bottom > 0 && r.top < innerHeight
	return seen ? "" : "not seen: " + e.outerHTML
})()`

// goesRound presses Tab until the focus has been everywhere on the page: it is seen wherever it is, and never caught.
func (c *chromium) goesRound() {
	c.t.Helper()
	for range 200 {
		c.keys("\t")
		switch said := ask(c, chromedp.Evaluate[string](nextStop)); {
		case said == "round":
			if !ask(c, chromedp.Evaluate[bool](`stops.length > 3 && stops.includes([...document.querySelectorAll("footer button")].pop())`)) {
				c.t.Errorf("the focus does not come to the end of %s", c.at())
			}
			return
		case said != "":
			c.t.Errorf("the focus at %s is %.200s", c.at(), said)
			return
		}
	}
	c.t.Errorf("the focus does not come round at %s", c.at())
}

// TestDeployByKeyboard: from signing in to a deployment by Tab and Enter, and the focus is seen all the time.
func TestDeployByKeyboard(t *testing.T) {
	t.Parallel()
	for _, script := range []bool{true, false} {
		s := newShop(newWorld(t))
		s.owner()
		s.live("A", "First")
		c := s.tab("en", script)
		c.open("/sign-in")
		c.tabTo("username")
		c.keys("ann")
		c.tabTo("password")
		c.keys(password)
		c.enter()
		c.tabToText("shop")
		c.enter()
		c.tabToText("Deploy now")
		c.enter()
		c.says("Deployment 2 is queued.")
		if dep := s.newest(s.workload); dep.Commit != commit || dep.Cause != db.CauseManual {
			t.Errorf("queued %+v", dep)
		}
		s.log(s.claim(), "one", "two")
		for _, path := range []string{"/start", "/workloads", "/workloads/shop", "/workloads/shop/settings", s.path(2), "/forges/new/github", "/settings/users", "/audit"} {
			c.open(path)
			c.goesRound()
		}
	}
}

// TestSessionEndsInAForm: whoever typed for long and is signed out meanwhile finds everything again, in a browser too.
func TestSessionEndsInAForm(t *testing.T) {
	t.Parallel()
	for _, script := range []bool{true, false} {
		w := newWorld(t)
		w.owner()
		repo := w.repository("acme/shop")
		c := w.tab("en", script)
		c.signInAs("ann", password, "Sign in")
		c.open("/workloads/new?repo=" + number(repo.ID))
		c.fill("name", "bazaar")
		c.fill("domain", "bazaar.example.com")
		c.fill("env_name", "TITLE")
		c.do(chromedp.SendKeys("[name=env_value]", "Магазин 🚀\n<b>жирно</b>"))
		c.choose("source_type", "image")
		c.fill("image", "acme/shop:1")
		w.expireSessions()
		c.press("Create without deploying")
		c.says("what you typed is kept")
		c.picture("session-ended")
		c.fill("username", "ann")
		c.fill("password", password)
		c.press("Sign in")
		if c.sees("form.form button.primary") && !c.sees("#f-domain") {
			c.press("Back to the form")
		}
		c.picture("session-resumed")
		if got := w.workloads(); got != 0 {
			t.Errorf("%d workloads were made by themselves", got)
		}
		c.press("Create without deploying")
		got := w.saved("bazaar")
		if got.Host != "bazaar.example.com" || got.Env["TITLE"] != "Магазин 🚀\n<b>жирно</b>" || !sameJSON(t, got.Config, `{"image":"acme/shop:1","deploy_strategy":"blue-green"}`) {
			t.Errorf("saved %s %+v", got.Config, got)
		}
	}
}

func (w *world) workloads() int {
	w.t.Helper()
	list, err := w.db.Workloads(w.t.Context())
	must(w.t, err)
	return len(list)
}

// TestTwoRealTabs: two tabs change one workload, and the later one is told and may go on.
func TestTwoRealTabs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.owner()
	repo := w.repository("acme/shop")
	must(t, w.db.CreateWorkload(t.Context(), &db.Workload{Name: "shop", RepositoryID: repo.ID, Source: "image", Config: json.RawMessage(`{"image":"a"}`), Enabled: true}))
	first, second := w.tab("en", true), w.tab("en", false)
	for _, c := range []*chromium{first, second} {
		c.signInAs("ann", password, "Sign in")
		c.open("/workloads/shop/settings")
	}
	first.fill("domain", "first.example.com")
	first.press("Save")
	first.says("Saved.")
	second.fill("domain", "second.example.com")
	second.press("Save")
	second.says("first.example.com", "second.example.com")
	if got := w.saved("shop"); got.Host != "first.example.com" {
		t.Errorf("saved %q", got.Host)
	}
	second.press("Save")
	second.says("Saved.")
	if got := w.saved("shop"); got.Host != "second.example.com" {
		t.Errorf("saved %q", got.Host)
	}
}

// TestAMegabyteInAField: what is wrong stands beside the field, and everything else is there again.
func TestAMegabyteInAField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.owner()
	repo := w.repository("acme/shop")
	c := w.tab("en", true)
	c.signInAs("ann", password, "Sign in")
	c.open("/workloads/new?repo=" + number(repo.ID))
	c.fill("name", "bazaar")
	c.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("[name=domain]").value = "a".repeat(1 << 20); 0`))
	c.press("Create without deploying")
	c.says("Fix 1 error", "At most 2000 characters")
	c.fits(320, 360, 768)
	if got := ask(c, chromedp.Value("[name=name]")); got != "bazaar" {
		t.Errorf("the name is %q again", got)
	}
	c.fill("domain", "bazaar.example.com")
	c.press("Create without deploying")
	if got := w.saved("bazaar"); got.Host != "bazaar.example.com" {
		t.Errorf("saved %q", got.Host)
	}
}

// TestPagesOfADeletedWorkload say so in words, and lead on.
func TestPagesOfADeletedWorkload(t *testing.T) {
	t.Parallel()
	s := newShop(newWorld(t))
	b := s.owner()
	dep := s.live("A", "First")
	must(t, s.db.DeleteWorkload(t.Context(), s.workload.ID, false))
	i := s.inspector(b)
	for lang, says := range map[string]string{"en": "There is no workload called shop", "ru": "Приложения «shop» нет"} {
		i.speak(lang)
		for _, path := range []string{"", "/deployments", "/settings", "/delete", "/rollback?to=1", "/deployments/" + number(dep.ID), "/deployments/" + number(dep.ID) + "/log.txt"} {
			p := b.get("/workloads/shop" + path)
			p.is(t, http.StatusNotFound, says, `<a href="/`)
			i.check(p, lang)
		}
		for _, path := range []string{"/deploy", "/rollback", "/pause", "/resume", "/settings", "/delete", "/deployments/" + number(dep.ID) + "/redeploy"} {
			b.post("/workloads/shop"+path, "to", "1", "name", "shop").is(t, http.StatusNotFound, says)
		}
		p := b.get("/deployments/" + number(dep.ID))
		p.is(t, http.StatusNotFound, number(dep.ID))
		i.check(p, lang)
		if p := b.get("/workloads"); strings.Contains(p.body, `href="/workloads/shop"`) {
			t.Error("it is on the list")
		}
	}
}
