package settings_test

import (
	"testing"

	"tinyforge/db"
)

// TestNewSessionEndsTheOneBefore: nobody stays signed in with a browser that somebody else signs in with.
func TestNewSessionEndsTheOneBefore(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	w.user("eve", db.Viewer)
	for range 2 {
		b.post("/sign-in", "username", "ann", "password", password).leads(t, "/workloads")
	}
	if list, err := w.db.Sessions(t.Context(), 1); err != nil || len(list) != 1 {
		t.Errorf("ann is signed in with %d browsers (%v)", len(list), err)
	}
	b.post("/sign-in", "username", "eve", "password", "a tree house in spring").leads(t, "/workloads")
	if list, err := w.db.Sessions(t.Context(), 1); err != nil || len(list) != 0 {
		t.Errorf("ann is signed in with %d browsers (%v)", len(list), err)
	}
}
