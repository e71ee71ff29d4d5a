package settings_test

import (
	"net/http"
	"testing"

	"tinyforge/db"
)

// TestTokenNeedsThePassword: where there is one.
func TestTokenNeedsThePassword(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	for typed, says := range map[string]string{"": "Fill in this field", "wrong": "The current password is not right"} {
		b.post("/settings/tokens", "token_name", "ci", "token_life", "30", "password_now", typed).is(t, http.StatusUnprocessableEntity, says)
	}
	b.post("/settings/tokens", "token_name", "ci", "token_life", "30", "password_now", password).leads(t, "/settings/tokens")
	b.get("/settings/tokens").onceShown(t)
	eve := w.user("eve", db.Viewer)
	must(t, w.db.SetPassword(t.Context(), 2, "")) // as if she had only ever signed in by a forge
	if eve.get("/settings/tokens").says("password_now") {
		t.Error("a password is asked for that there is not")
	}
	eve.post("/settings/tokens", "token_name", "ci", "token_life", "30").leads(t, "/settings/tokens")
}
