package settings_test

import (
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"tinyforge/db"
)

// TestTriesAtOnceAreCounted: many at once are no more than as many in a row.
func TestTriesAtOnceAreCounted(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	for path, form := range map[string]url.Values{
		"/sign-in":           {"username": {"ann"}, "password": {"wrong"}},
		"/settings/password": {"password_now": {"wrong"}, "password_new": {"a tree house in spring"}},
	} {
		var checked atomic.Int32
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				p := b.do(http.MethodPost, path, form, "X-Forwarded-For", "192.0.2."+idOf(int64(len(path))))
				if p.StatusCode == http.StatusUnprocessableEntity && !p.says("Too many attempts") {
					checked.Add(1)
				}
			})
		}
		wg.Wait()
		if n := checked.Load(); n != 10 {
			t.Errorf("%s: %d of 40 passwords were checked", path, n)
		}
	}
}

// TestOwnSignInGivesNoMoreTries: who has an account cannot guess another's password with sign-ins of their own in between.
func TestOwnSignInGivesNoMoreTries(t *testing.T) {
	w := newWorld(t)
	w.owner()
	w.user("eve", db.Viewer)
	b := w.browser()
	for range 2 {
		for range 5 {
			b.post("/sign-in", "username", "ann", "password", "wrong").is(t, http.StatusUnprocessableEntity)
		}
		b.post("/sign-in", "username", "eve", "password", "a tree house in spring")
	}
	b.post("/sign-in", "username", "ann", "password", "wrong").is(t, http.StatusTooManyRequests)
}

// TestRightPasswordsAreNoTries: somebody who signs in often is not kept out.
func TestRightPasswordsAreNoTries(t *testing.T) {
	w := newWorld(t)
	w.owner()
	b := w.browser()
	for range 11 {
		b.post("/sign-in", "username", "ann", "password", password).leads(t, "/workloads")
	}
}
