package settings_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// chromium is a tab of a real browser on the world's pages. What the browser complains of, above all what the page's policy
// keeps it from, fails the test.
type chromium struct {
	*world
	ctx context.Context
}

// tab opens a tab with cookies of its own. Without script nothing of ours runs in it.
func (w *world) tab(lang string, script bool) *chromium {
	w.t.Helper()
	browser, err := oneChromium()
	if err != nil {
		w.t.Fatalf("this test needs a browser: %v", err)
	}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	w.t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 5*time.Minute) // ends what hangs
	c := &chromium{world: w, ctx: ctx}
	console := chromedp.Console(ctx)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for m, err := range console {
			if err != nil {
				return
			}
			// Answers of 4xx are what a test asks for, and advice on forms is no complaint; nor is that a test was in a field
			// before the page had chosen one.
			early := strings.Contains(fmt.Sprint(m), "Autofocus processing was blocked")
			if m.Source != "network" && m.Type != chromedp.ConsoleDebug && !early {
				w.t.Errorf("the browser complains: %s", m)
			}
		}
	}()
	w.t.Cleanup(func() { cancel(); <-read })
	call(c, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": lang}})
	call(c, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !script})
	call(c, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}) // whatever other tabs do
	c.window(1280)
	return c
}

// call runs a command of the browser's protocol.
func call[P, R any](c *chromium, command cdp.Command[P, R], params P) {
	c.t.Helper()
	if _, err := chromedp.Call(c.ctx, command, params); err != nil {
		c.t.Fatalf("%s at %s: %v", command.Method, c.at(), err)
	}
}

// ask runs an action and returns what it finds.
func ask[T any](c *chromium, action chromedp.Action[T]) T {
	c.t.Helper()
	found, err := chromedp.Run(c.ctx, action)
	if err != nil {
		c.t.Fatalf("ask at %s: %v", c.at(), err)
	}
	return found
}

// do does actions one after the other.
func (c *chromium) do(actions ...chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	if err := chromedp.Do(c.ctx, actions...); err != nil {
		c.t.Fatalf("at %s: %v", c.at(), err)
	}
}

func (c *chromium) at() string {
	path, _ := chromedp.Run(c.ctx, chromedp.Location())
	return strings.TrimPrefix(path, c.server.URL)
}

// open loads one of our pages, again where a network of containers came or went meanwhile: Chromium gives up then what it loads.
func (c *chromium) open(path string) {
	c.t.Helper()
	err := chromedp.Do(c.ctx, chromedp.Navigate(c.server.URL+path))
	for err != nil && strings.Contains(err.Error(), "ERR_NETWORK_CHANGED") {
		err = chromedp.Do(c.ctx, chromedp.Navigate(c.server.URL+path))
	}
	if err != nil {
		c.t.Fatalf("open %s: %v", path, err)
	}
}

// fill types into a field after emptying it.
func (c *chromium) fill(name, value string) {
	c.t.Helper()
	selector := fmt.Sprintf("[name=%q]:not([type=hidden])", name)
	c.do(chromedp.Clear(selector), chromedp.SendKeys(selector, value))
}

// press clicks the visible button or link with this text, and waits for the page that it leads to.
func (c *chromium) press(text string) {
	c.t.Helper()
	query := fmt.Sprintf(`//main//*[self::button or self::a or self::summary][normalize-space()=%q]`, text)
	_, err := chromedp.RunResponse(c.ctx, chromedp.Click(query, chromedp.NodeVisible))
	if err != nil && strings.Contains(err.Error(), "node with given id") { // a live page has replaced it meanwhile
		_, err = chromedp.RunResponse(c.ctx, chromedp.Click(query, chromedp.NodeVisible))
	}
	if err != nil {
		c.t.Fatalf("press %q at %s: %v", text, c.at(), err)
	}
}

// text is what a person reads on the page.
func (c *chromium) text() string { c.t.Helper(); return ask(c, chromedp.Text("body")) }

// says checks that a person reads all of this.
func (c *chromium) says(want ...string) {
	c.t.Helper()
	got := c.text()
	for _, s := range want {
		if !strings.Contains(got, s) {
			c.t.Errorf("%s does not say %q:\n%s", c.at(), s, got)
		}
	}
}

func (c *chromium) window(pixels int64) {
	c.t.Helper()
	call(c, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: pixels, Height: 900, DeviceScaleFactor: 1})
}

// fits makes the window as wide as each of these, and checks that the page does not scroll sideways in it.
func (c *chromium) fits(widths ...int64) {
	c.t.Helper()
	defer c.window(1280)
	for _, pixels := range widths {
		c.window(pixels)
		if wide := ask(c, chromedp.Evaluate[int64]("document.documentElement.scrollWidth")); wide > pixels {
			c.t.Errorf("%s is %d pixels wide in a window of %d", c.at(), wide, pixels)
		}
	}
}

// accessible lets axe look at the page; in the dark theme at the colors only, which is all that differs.
func (c *chromium) accessible() {
	c.t.Helper()
	cache, err := os.UserCacheDir()
	must(c.t, err)
	axe, err := os.ReadFile(filepath.Join(cache, "tinyforge-test", "axe", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		c.t.Fatalf("axe is not there: run scripts/setup test: %v", err)
	}
	c.do(chromedp.Evaluate[chromedp.Void](string(axe) + ";0"))
	for theme, rules := range map[string]string{"light": everyRule, "dark": `["color-contrast", "link-in-text-block"]`} {
		call(c, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}})
		raw := ask(c, chromedp.Evaluate[string](fmt.Sprintf(lookAround, rules), chromedp.EvalAwaitPromise))
		var found []struct {
			ID, Help string
			Nodes    []string
		}
		must(c.t, json.Unmarshal([]byte(raw), &found))
		for _, v := range found {
			c.t.Errorf("%s, %s: %s: %s\n\t%s", c.at(), theme, v.ID, v.Help, strings.Join(v.Nodes, "\n\t"))
		}
	}
}

// everyRule are the rules that pages keep to, by their tags.
const everyRule = `["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]`

// lookAround has axe tell what is wrong on the page.
const lookAround = `axe.run({runOnly: %s, resultTypes: ["violations"]})
	.then(r => JSON.stringify(r.violations.map(v => ({id: v.id, help: v.help, nodes: v.nodes.map(n => n.html)}))))`

// picture saves what the page looks like, where a folder for pictures is given in the environment.
func (c *chromium) picture(name string) {
	c.t.Helper()
	folder := os.Getenv("TINYFORGE_TEST_PICTURES")
	if folder == "" {
		return
	}
	must(c.t, os.WriteFile(filepath.Join(folder, name+".png"), ask(c, chromedp.FullScreenshot(100)), 0o600))
}

// owner signs in as the first administrator, by the printed link.
func (c *chromium) owner() {
	c.t.Helper()
	token, err := c.db.NewSignInLink(c.t.Context(), 0)
	must(c.t, err)
	c.open("/setup?token=" + token)
	c.fill("username", "ann")
	c.fill("password", password)
	c.press("Save and continue")
}
