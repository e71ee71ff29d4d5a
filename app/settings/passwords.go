package settings

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"github.com/trustelem/zxcvbn"
	"golang.org/x/crypto/argon2"

	"tinyforge/templates"
)

const (
	shortestPassword = 12
	longestPassword  = 200
	weighedPassword  = 64 // characters that are weighed: it takes ever longer, and so many are good or bad by themselves

	hashesAtOnce = 2 // each takes 46 MiB
	hashesQueued = 20
)

// dear is what OWASP asks of Argon2id, the same on every machine.
var dear = argon2id.Params{Memory: 46 << 10, Iterations: 1, Parallelism: 2, SaltLength: 16, KeyLength: 32}

// errCrowded says that too many people are signing in.
var errCrowded = errors.New("too many passwords are being checked")

// hasher bounds how many hashes are made at a time, and how many wait for that.
type hasher struct {
	places chan struct{}   // of those at work
	all    chan struct{}   // of these and of those that wait
	params argon2id.Params // of new hashes
}

func newHasher() *hasher {
	return &hasher{make(chan struct{}, hashesAtOnce), make(chan struct{}, hashesAtOnce+hashesQueued), dear}
}

// nobody is a hash that takes as long as a new one, and is of no password.
func (h *hasher) nobody() string {
	zeros := func(n uint32) string { return base64.RawStdEncoding.EncodeToString(make([]byte, n)) }
	p := h.params
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.Memory, p.Iterations, p.Parallelism, zeros(p.SaltLength), zeros(p.KeyLength))
}

// enter waits for a place, which leave gives back. It returns errCrowded where too many wait already.
func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	select {
	case h.all <- struct{}{}:
	default:
		return nil, errCrowded
	}
	select {
	case h.places <- struct{}{}:
		return func() { <-h.places; <-h.all }, nil
	case <-ctx.Done():
		<-h.all
		return nil, fmt.Errorf("wait to hash password: %w", ctx.Err())
	}
}

func (h *hasher) make(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	hash, err := argon2id.CreateHash(password, &h.params)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return hash, nil
}

// fits tells whether a password belongs to a hash; "" fits nothing, and takes as long.
func (h *hasher) fits(ctx context.Context, password, hash string) (bool, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	known := hash != ""
	if !known {
		hash = h.nobody()
	}
	ok, err := argon2id.ComparePasswordAndHash(password, hash)
	return err == nil && ok && known, nil
}

// checkNewPassword notes in the form what is wrong with a password that somebody chose. about are words that it must not
// be made of.
func checkNewPassword(form *templates.Form, field string, about ...string) {
	password := form.Get(field)
	switch n := utf8.RuneCountInString(password); {
	case password == "":
		form.Fail(field, "err.required")
	case n < shortestPassword:
		form.Fail(field, "err.password_short", "min", shortestPassword)
	case n > longestPassword:
		form.Fail(field, "err.too_long", "max", longestPassword)
	case zxcvbn.PasswordStrength(strings.ToLower(firstRunes(password, weighedPassword)), about).Score < 2:
		form.Fail(field, "err.password_common")
	}
}

func firstRunes(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}
