package settings_test

import (
	"net/http"
	"testing"

	"tinyforge/app/forgetest"
)

// TestAccountIsKnownBeforeItSignsIn: whoever takes the login after it was saved is somebody else.
func TestAccountIsKnownBeforeItSignsIn(t *testing.T) {
	for _, kind := range []forgetest.Kind{forgetest.GitHub, forgetest.Gitea} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			b := w.ownerAt("https://deploy.example.com")
			w.realForge(kind)
			account := func() string {
				u, err := w.db.User(t.Context(), 2)
				must(t, err)
				return u.AccountID
			}
			save := func(path, login string) page {
				b.post(path, "username", "octo", "role", "viewer", "account_forge", "hub", "account_login", login).leads(t, "/settings/users/2")
				return b.get("/settings/users/2")
			}
			const unsure = "hub has not said whose the login"
			if p := save("/settings/users", "Octo-Cat"); p.says(unsure) || account() == "" {
				t.Errorf("the account is not known: %s", p.body)
			}
			first := account()
			if save("/settings/users/2", forgetest.Nobody).is(t, http.StatusOK, unsure); account() != "" {
				t.Errorf("nobody's is %s", account())
			}
			if p := save("/settings/users/2", "octo-cat"); p.says(unsure) || account() != first {
				t.Errorf("the account is %s, and was %s", account(), first)
			}
			must(t, w.db.SetAccountID(t.Context(), 2, "1"))
			if save("/settings/users/2", "octo-cat"); account() != "1" {
				t.Errorf("it is another's now: %s", account())
			}
		})
	}
}

// TestAccountOfASilentForge: it is saved all the same, and known at another time.
func TestAccountOfASilentForge(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	w.forge()
	b.post("/settings/users", "username", "octo", "role", "viewer", "account_forge", "hub", "account_login", "octo-cat").leads(t, "/settings/users/2")
	b.get("/settings/users/2").is(t, http.StatusOK, "octo was added", "Whoever signs in by it first is taken for octo")
}
