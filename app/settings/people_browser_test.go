package settings_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"tinyforge/db"
)

// visitsOfPeople are the pages that this file looks at.
var visitsOfPeople = []string{"/settings", "/settings/password", "/settings/sessions", "/settings/tokens", "/settings/users", "/settings/users/new",
	"/settings/users/2", "/settings/sign-in/1", "/settings/proxy", "/settings/networks", "/settings/retention", "/audit", "/about"}

// TestPagesOfPeopleInABrowser looks at every page in both languages, wide and narrow. axe looks in TestEveryPageInABrowser.
func TestPagesOfPeopleInABrowser(t *testing.T) {
	for _, lang := range []string{"en", "ru"} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			w := newWorldOf(t, withHealth)
			w.owner()
			w.forge()
			w.user("Боб 🚀 with a rather long name", db.Deployer)
			_, err := w.db.NewAPIToken(t.Context(), &db.APIToken{UserID: 1, Name: "release script of the shop"})
			must(t, err)
			must(t, w.db.SetLanguage(t.Context(), 1, lang))
			c := w.tab(lang, true)
			c.signInAs("ann", password, map[string]string{"en": "Sign in", "ru": "Войти"}[lang])
			for _, path := range visitsOfPeople {
				c.open(path)
				c.fits(320, 360, 768)
				c.picture(lang + strings.ReplaceAll(path, "/", "-"))
			}
			c.window(360)
			c.open("/settings/users")
			c.picture(lang + "-narrow")
		})
	}
}

// signInAs fills in the form of signing in.
func (c *chromium) signInAs(name, password, button string) {
	c.t.Helper()
	c.open("/sign-in")
	c.fill("username", name)
	c.fill("password", password)
	c.press(button)
}

// TestFirstRunByKeyboard: no mouse is needed from the link on, and signing in again needs none either.
func TestFirstRunByKeyboard(t *testing.T) {
	t.Parallel()
	for lang, says := range map[string]string{"en": "Getting started", "ru": "Начало работы"} {
		w := newWorld(t)
		c := w.tab(lang, true)
		token, err := w.db.NewSignInLink(t.Context(), 0)
		must(t, err)
		c.open("/setup?token=" + token)
		c.tabTo("username")
		c.keys("ann")
		c.tabTo("password")
		c.keys(password)
		c.enter()
		c.says(says, "ann")
		w.signsInByKeyboard(lang)
	}
}

// signsInByKeyboard signs in in a tab of its own, after one mistake.
func (w *world) signsInByKeyboard(lang string) {
	w.t.Helper()
	c := w.tab(lang, true)
	c.open("/sign-in")
	c.tabTo("username")
	c.keys("ann")
	c.tabTo("password")
	c.keys("wrong")
	c.enter()
	c.eventually(`document.activeElement.getAttribute("role") === "alert"`)
	c.tabTo("password")
	c.keys(password)
	c.enter()
	c.says("ann")
}

// keys types where the focus is.
func (c *chromium) keys(text string) { c.t.Helper(); c.do(chromedp.KeyEvent(text)) }

// enter presses Enter and waits for the page that comes.
func (c *chromium) enter() {
	c.t.Helper()
	if _, err := chromedp.RunResponse(c.ctx, chromedp.KeyEvent("\r")); err != nil {
		c.t.Fatalf("press Enter at %s: %v", c.at(), err)
	}
}

// tabTo presses Tab until a field has the focus, at most as often as a person would.
func (c *chromium) tabTo(name string) {
	c.t.Helper()
	for range 25 {
		c.keys("\t")
		if ask(c, chromedp.Evaluate[string](`document.activeElement.getAttribute("name") || ""`)) == name {
			return
		}
	}
	c.t.Fatalf("Tab does not lead to %q at %s", name, c.at())
}

// TestUsersAndTokensInABrowser: with and without script a user is added, a session ended, and a script uses a token.
func TestUsersAndTokensInABrowser(t *testing.T) {
	for _, script := range []bool{true, false} {
		t.Run(fmt.Sprint("script ", script), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			other := w.owner()
			c := w.tab("en", script)
			c.signInAs("ann", password, "Sign in")
			c.open("/settings/users")
			c.press("Add a user")
			c.press("Add a user")
			c.says("Fix 1 error", "Fill in this field")
			c.fill("username", "Боб 🚀")
			c.press("Add a user")
			c.says("Боб 🚀 was added.", "One-time link for Боб 🚀", "/setup?token=")
			c.press("End all sessions")
			c.says("0 sessions ended.")

			c.open("/settings/sessions")
			c.says("2 sessions", "this one")
			c.press("End all other sessions")
			c.says("1 session ended.")
			other.get("/workloads").leads(t, "/sign-in?next=%2Fworkloads")

			c.open("/settings/tokens")
			c.says("No tokens.")
			c.fill("token_name", "release script")
			c.fill("password_now", password)
			c.press("Make a token")
			c.says("It is shown only now.")
			token := ask(c, chromedp.Text("code.once"))
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/api/v1/workloads", nil)
			must(t, err)
			req.Header.Set("Authorization", "Bearer "+token)
			res, err := http.DefaultClient.Do(req)
			must(t, err)
			must(t, res.Body.Close())
			if res.StatusCode != http.StatusOK {
				t.Errorf("the script is answered %s", res.Status)
			}
			c.press("End")
			c.says("Token ended.", "No tokens.")

			c.open("/settings")
			c.fill("time_zone", "Mars")
			c.press("Save")
			c.says("Enter a time zone")
			c.fill("time_zone", "Asia/Tokyo")
			c.fill("base_url", "http://10.0.0.5")
			c.press("Save")
			c.says("Saved.", "10.0.0.5 is a private address", "UTC+9")
		})
	}
}
