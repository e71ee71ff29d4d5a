package settings_test

import (
	"net/http"
	"testing"

	"tinyforge/db"
)

// TestNewPasswordEndsWhatSignsIn: links that were made before, and tokens unless somebody keeps them.
func TestNewPasswordEndsWhatSignsIn(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	b.get("/settings/password").is(t, http.StatusOK, `name="end_tokens" value="on" checked`)
	now := password
	for keeps, next := range map[string]string{"off": "a tree house in spring", "on": "a boat house in autumn"} {
		link, err := w.db.NewSignInLink(t.Context(), 1)
		must(t, err)
		_, err = w.db.NewAPIToken(t.Context(), &db.APIToken{UserID: 1, Name: "ci"})
		must(t, err)
		before, err := w.db.APITokens(t.Context(), 1)
		must(t, err)
		b.post("/settings/password", "password_now", now, "password_new", next, "end_tokens", keeps).leads(t, "/settings/password")
		w.browser().get("/setup?token="+link).is(t, http.StatusGone)
		after, err := w.db.APITokens(t.Context(), 1)
		must(t, err)
		if keeps == "off" && len(after) != len(before) || keeps == "on" && len(after) != 0 {
			t.Errorf("end_tokens %s: %d tokens of %d", keeps, len(after), len(before))
		}
		now = next
	}
}

// TestFirstPassword: an account of a forge may get one, which others can see.
func TestFirstPassword(t *testing.T) {
	w := newWorld(t)
	w.owner()
	eve, other := w.user("eve", db.Viewer), w.browser()
	other.post("/sign-in", "username", "eve", "password", "a tree house in spring").leads(t, "/workloads")
	must(t, w.db.SetPassword(t.Context(), 2, "")) // as if she had only ever signed in by a forge
	eve.post("/settings/password", "password_new", "a boat house in autumn").leads(t, "/settings/password")
	w.audited("user.first_password", "")
	other.get("/workloads").leads(t, "/sign-in?next=%2Fworkloads")
	eve.get("/workloads").is(t, http.StatusOK)
}
