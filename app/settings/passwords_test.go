package settings

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"tinyforge/db"
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

// TestToldWhenToComeAgain: where there are too many, and where the database is away.
func TestToldWhenToComeAgain(t *testing.T) {
	set, err := templates.New(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	away := fmt.Errorf("read workloads: %w", db.ErrAway)
	for _, test := range []struct {
		lang, says string
		err        error
	}{{"en", "Too many people are signing in", errCrowded}, {"en", "The database does not answer", away}, {"ru", "База данных не отвечает", away}} {
		w := httptest.NewRecorder()
		s := New(Config{Templates: set, Log: slog.New(slog.DiscardHandler)})
		v := &visit{Settings: s, w: w, r: httptest.NewRequest(http.MethodPost, "/sign-in", nil), Printer: set.Printer(test.lang, "")}
		v.fail(test.err)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "10" || !strings.Contains(w.Body.String(), test.says) {
			t.Errorf("%d, %v: %s", w.Code, w.Header(), w.Body)
		}
	}
	w := httptest.NewRecorder()
	(&apiCall{Settings: New(Config{}), w: w, r: httptest.NewRequest(http.MethodGet, "/api/v1/workloads", nil)}).fail(away)
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "the database does not answer: try again soon") {
		t.Errorf("the API answers %d %s", w.Code, w.Body)
	}
}

// TestPasswordsAreHashedDearly: whoever steals the hashes pays 46 MiB for each try, and who signs in as nobody waits as long.
func TestPasswordsAreHashedDearly(t *testing.T) {
	h := New(Config{}).hash
	hash, err := h.make(t.Context(), "correct horse battery staple")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{hash, h.nobody()} {
		if p, salt, key, err := argon2id.DecodeHash(s); err != nil || *p != dear || len(salt) != 16 || len(key) != 32 || !strings.HasPrefix(s, "$argon2id$v=19$m=47104,t=1,p=2$") {
			t.Errorf("the hash is %s (%v)", s, err)
		}
	}
	for _, c := range []struct {
		password, hash string
		fits           bool
	}{{"correct horse battery staple", hash, true}, {"correct horse battery", hash, false}, {"", "", false}} {
		if ok, err := h.fits(t.Context(), c.password, c.hash); ok != c.fits || err != nil {
			t.Errorf("%q fits %q: %v, %v", c.password, c.hash, ok, err)
		}
	}
}

// TestLongPasswordsAreWeighedInPart: what comes after 64 characters does not count, and so takes no time.
func TestLongPasswordsAreWeighedInPart(t *testing.T) {
	for password, good := range map[string]bool{
		strings.Repeat("a", 64) + "correct horse battery staple":  false,
		"correct horse battery staple" + strings.Repeat("ж", 170): true,
	} {
		form := filled("password", password)
		checkNewPassword(form, "password")
		if form.Valid() != good {
			t.Errorf("%q: %+v", password, form.Errors)
		}
	}
}
