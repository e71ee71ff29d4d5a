package settings

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"tinyforge/templates"
)

func TestFewPasswordsAreHashedAtOnce(t *testing.T) {
	h := newHasher()
	for range hashesAtOnce {
		leave, err := h.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 * hashesQueued { // those who go make place
		if _, err := h.fits(gone, "x", ""); !errors.Is(err, context.Canceled) {
			t.Fatalf("who has gone waits: %v", err)
		}
	}
	for range hashesQueued {
		h.all <- struct{}{}
	}
	if _, err := h.make(t.Context(), "x"); !errors.Is(err, errCrowded) {
		t.Errorf("one too many: %v", err)
	}
}

func TestCrowdIsToldWhenToComeAgain(t *testing.T) {
	set, err := templates.New(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	v := &visit{Settings: New(Config{Templates: set}), w: w, r: httptest.NewRequest(http.MethodPost, "/sign-in", nil), Printer: set.Printer("en", "")}
	v.fail(errCrowded)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "10" || !strings.Contains(w.Body.String(), "Too many people are signing in") {
		t.Errorf("%d, %v: %s", w.Code, w.Header(), w.Body)
	}
}

// TestNobodyTakesAsLong: whether a name exists shows in nothing.
func TestNobodyTakesAsLong(t *testing.T) {
	h := newHasher()
	made, err := h.make(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	want, _, _, err := argon2id.DecodeHash(made)
	if err != nil {
		t.Fatal(err)
	}
	got, _, _, err := argon2id.DecodeHash(h.nobody)
	if err != nil || *got != *want {
		t.Errorf("nobody's is made with %+v, others with %+v (%v)", got, want, err)
	}
	if ok, err := h.fits(t.Context(), "", ""); ok || err != nil {
		t.Errorf("no password signs in: %v, %v", ok, err)
	}
}

// TestLongPasswordsAreWeighedInPart: what comes after 64 characters does not count, and so takes no time.
func TestLongPasswordsAreWeighedInPart(t *testing.T) {
	for password, good := range map[string]bool{
		strings.Repeat("a", 64) + "correct horse battery staple": false,
		"correct horse battery staple" + strings.Repeat("ж", 170): true,
	} {
		form := filled("password", password)
		checkNewPassword(form, "password")
		if form.Valid() != good {
			t.Errorf("%q: %+v", password, form.Errors)
		}
	}
}
