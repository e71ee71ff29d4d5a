package settings_test

import (
	"net/http"
	"testing"

	"tinyforge/db"
)

// TestOneLookAtATime: whoever asks again while a repository is looked into starts no other fetch.
func TestOneLookAtATime(t *testing.T) {
	w := newWorld(t)
	b, bob := w.owner(), w.user("bob", db.Administrator)
	address := "/workloads/new?repo=" + number(w.repository("acme/shop").ID)
	looks := 0
	w.code.during = func() {
		switch looks++; looks {
		case 1:
			b.get(address).is(t, http.StatusOK, "Another repository is being looked into for you")
			bob.get(address).is(t, http.StatusOK)
		case 2: // bob's
		default:
			t.Error("one user looks twice at a time")
		}
	}
	b.get(address).is(t, http.StatusOK)
	if looks != 2 {
		t.Errorf("looked %d times", looks)
	}
	w.code.during = func() { looks++ }
	if b.get(address).is(t, http.StatusOK); looks != 3 {
		t.Error("nobody may look again")
	}
}
