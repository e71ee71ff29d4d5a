package settings_test

import (
	"net/http"
	"testing"
	"time"

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

// TestTheCookieLastsAsLongAsTheSession: who comes back goes on to be signed in.
func TestTheCookieLastsAsLongAsTheSession(t *testing.T) {
	w := newWorld(t)
	b := w.owner()
	if p := b.get("/workloads"); len(p.Cookies()) != 0 {
		t.Errorf("there is a new cookie for a session that lasts no longer: %v", p.Cookies())
	}
	p := b.do(http.MethodGet, "/workloads", nil, "X-Forwarded-For", "192.0.2.7") // a session that is seen elsewhere lasts anew
	if c := p.Cookies(); len(c) != 1 || c[0].Name != "session" || c[0].Value == "" || time.Duration(c[0].MaxAge)*time.Second < db.SessionLife-time.Hour || !c[0].HttpOnly {
		t.Errorf("the cookies are %v", c)
	}
	b.get("/workloads").is(t, http.StatusOK)
}
