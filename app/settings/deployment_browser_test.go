package settings_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"tinyforge/db"
)

// eventually waits until a script's expression is true on the page, or on the one that the page leads to by itself.
func (c *chromium) eventually(expression string) {
	c.t.Helper()
	deadline, tick := time.After(time.Minute), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for {
		is, err := chromedp.Run(c.ctx, chromedp.Evaluate[bool](expression))
		if err != nil && !leftMeanwhile(err) {
			c.t.Fatalf("ask whether %s at %s: %v", expression, c.at(), err)
		}
		if is {
			return
		}
		select {
		case <-deadline:
			c.t.Fatalf("%s does not become true at %s:\n%s", expression, c.at(), c.text())
		case <-tick.C:
		}
	}
}

// leftMeanwhile tells whether the page that was asked is no longer the one in the tab.
func leftMeanwhile(err error) bool {
	return strings.Contains(err.Error(), "Inspected target navigated or closed") || strings.Contains(err.Error(), "Execution context was destroyed")
}

// look checks how a page looks and whether everybody can use it; axe does so where the page is in English.
func (c *chromium) look(name string) {
	c.t.Helper()
	c.picture(name)
	if !strings.HasSuffix(name, "-ru") {
		c.accessible()
	}
	c.fits(320, 360, 768)
	if c.t.Failed() {
		return
	}
	c.window(360)
	c.picture(name + "-360")
	c.window(1280)
}

// TestFailureAndRollbackInABrowser: a failed deployment is read on its page, and an earlier release made to serve again.
func TestFailureAndRollbackInABrowser(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"en", "ru"} {
		s, _ := newRunningShop(t)
		s.live("A", "First <b>cart</b> 🚀")
		s.live("B", "Корзина считает скидку")
		failed := s.failed("C", "Break it")
		c := s.tab(lang, true)
		c.ownerIn(lang)
		c.open("/workloads")
		c.look("overview-" + lang)
		c.open("/workloads/shop")
		c.says("First <b>cart</b> 🚀", "Корзина считает скидку")
		c.look("workload-" + lang)
		c.open(s.path(failed.ID))
		c.look("failed-" + lang)
		texts := map[string][]string{
			"en": {"Nothing answers on port 8080 of the new copy", "kept serving all the time", "Go to line 2 of the log", "Roll back to 1", "Rolling back to 1."},
			"ru": {"На порту 8080 новой копии никто не отвечает", "Всё это время работала версия", "К строке 2 журнала", "Откатить к версии 1", "Выполняется откат к версии 1."},
		}[lang]
		c.says(texts[:2]...)
		c.press(texts[2])
		c.eventually(`document.querySelector("#L2.marked") !== null`)
		c.open("/workloads/shop")
		c.press(texts[3])
		c.says("Корзина считает скидку")
		c.look("rollback-" + lang)
		c.press(texts[3])
		c.says(texts[4])
		if dep := s.newest(s.workload); dep.Cause != db.CauseRollback || dep.RollbackTo != 1 {
			t.Errorf("queued %+v", dep)
		}
		c.open("/workloads/shop/deployments")
		c.look("history-" + lang)
	}
}

// ownerIn is owner in a language.
func (c *chromium) ownerIn(lang string) {
	c.t.Helper()
	if lang == "en" {
		c.owner()
		return
	}
	token, err := c.db.NewSignInLink(c.t.Context(), 0)
	must(c.t, err)
	c.open("/setup?token=" + token)
	c.fill("username", "ann")
	c.fill("password", password)
	c.press("Сохранить и продолжить")
}

// TestLiveLogInABrowser: the log grows and is followed while its end is seen; phases and the tab's title change by themselves.
func TestLiveLogInABrowser(t *testing.T) {
	t.Parallel()
	s := newShop(newWorld(t))
	s.live("0", "Before")
	s.push("A", "First")
	dep := s.claim()
	var texts []string
	for i := range 100 {
		texts = append(texts, fmt.Sprintf("line %d", i+1))
	}
	s.log(dep, texts...)
	c := s.tab("en", true)
	c.owner()
	c.open(s.path(dep.ID))
	c.eventually(`document.getElementById("L100") !== null`)
	s.log(dep, "<script>document.title = 'broken'</script> \x1b[31mred\x1b[0m", "more")
	c.eventually(`document.getElementById("L102") !== null && log.scrollHeight - log.scrollTop - log.clientHeight < 24`)
	c.look("running")
	if got := ask(c, chromedp.Evaluate[string](`document.querySelector("#L101 .e").textContent`)); got != "red" {
		t.Errorf("in colour: %q", got)
	}
	// Until the window has settled at its size, the log keeps to its end.
	c.eventually(`(log.scrollTop = 0, !document.getElementById("log-follow").checked)`)
	s.log(dep, "one", "two")
	c.eventually(`document.getElementById("log-new").textContent === "2 new lines ↓"`)
	c.do(chromedp.Click("#log-new"))
	c.eventually(`document.getElementById("log-follow").checked && log.scrollHeight - log.scrollTop - log.clientHeight < 24`)
	s.finish(dep)
	c.eventually(`document.title === "✓ #2 shop · Tinyforge"`)
	c.eventually(`document.getElementById("state").textContent.includes("Live")`)
	c.says("1,354 requests served, 0 requests failed")
	if got := ask(c, chromedp.Evaluate[int](`document.querySelectorAll("#log p").length`)); got != 104 {
		t.Errorf("%d lines", got)
	}
}

// TestLongLogInABrowser: 20,000 lines are there in parts, and a link to one of another part leads to it.
func TestLongLogInABrowser(t *testing.T) {
	t.Parallel()
	s := newShop(newWorld(t))
	dep := s.live("A", "First")
	var texts []string
	for i := range 20_000 {
		texts = append(texts, fmt.Sprintf("%d: %s", i+3, strings.Repeat("x", 80)))
	}
	s.log(dep, texts...)
	c := s.tab("en", true)
	c.owner()
	begun := time.Now()
	c.open(s.path(dep.ID))
	t.Logf("loaded in %s", time.Since(begun).Round(time.Millisecond))
	if shown := ask(c, chromedp.Evaluate[int](`document.querySelectorAll("#log p").length`)); shown != 1000 {
		t.Errorf("%d lines are shown", shown)
	}
	c.open(s.path(dep.ID) + "#L312-L314")
	c.eventually(`document.querySelectorAll(".marked").length === 3`)
	if at := c.at(); at != s.path(dep.ID)+"?from=312#L312-L314" {
		t.Errorf("at %s", at)
	}
	c.fits(320, 360, 768)
	c.press("Show earlier lines")
	c.eventually(`document.getElementById("L1") !== null`)
	c.fill("q", "17777:")
	c.press("Find")
	c.says("1 match")
	c.eventually(`document.querySelector("#L17777 mark") !== null`)
}

// TestDeploymentsWithoutScript: everything but the growing of the log is there.
func TestDeploymentsWithoutScript(t *testing.T) {
	t.Parallel()
	s := newShop(newWorld(t))
	s.live("A", "First")
	s.live("B", "Second")
	c := s.tab("en", false)
	c.owner()
	c.open("/workloads/shop")
	c.press("Deploy now")
	c.says("Deployment 3 is queued.", "This page reloads every 5 s")
	c.press("Stop reloading")
	if text := c.text(); strings.Contains(text, "reloads every") {
		t.Error("it goes on reloading")
	}
	dep := s.claim()
	s.log(dep, "compiled")
	c.open(s.path(dep.ID))
	c.says("compiled", "Running")
	c.press("Cancel deployment")
	c.says("Deployment 3 cancelled")
	s.through(dep, db.PhaseUndoing, db.PhaseCancelled)
	c.open(s.path(dep.ID))
	c.press("Redeploy this commit")
	c.says("Deployment 4 is queued.")
	c.open("/workloads/shop")
	c.press("Roll back to 1")
	c.press("Roll back to 1")
	c.says("Rolling back to 1.")
	c.open("/workloads")
	c.fill("q", "sho")
	c.press("Search")
	c.says("shop.example.com")
}

// TestRollbackByKeyboard: from the list to the release, without a mouse.
func TestRollbackByKeyboard(t *testing.T) {
	t.Parallel()
	s := newShop(newWorld(t))
	s.live("A", "First")
	s.live("B", "Second")
	c := s.tab("en", true)
	c.owner()
	c.open("/workloads")
	c.tabToText("shop")
	c.enter()
	c.tabToText("Roll back to 1")
	c.enter()
	c.tabTo("rollback_pause")
	c.keys(" ")
	c.tabToText("Roll back to 1")
	c.enter()
	c.says("Rolling back to 1.")
	if s.saved("shop").Enabled {
		t.Error("pushes are not paused")
	}
}

// tabToText presses Tab until what has the focus bears a text.
func (c *chromium) tabToText(text string) {
	c.t.Helper()
	for range 40 {
		c.keys("\t")
		if ask(c, chromedp.Evaluate[string](`document.activeElement.textContent.trim()`)) == text {
			return
		}
	}
	c.t.Fatalf("Tab does not lead to %q at %s", text, c.at())
}
