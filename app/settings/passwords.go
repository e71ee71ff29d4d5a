package settings

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"github.com/trustelem/zxcvbn"

	"tinyforge/templates"
)

const (
	shortestPassword = 12
	longestPassword  = 200
)

// hasher bounds how many hashes are made at a time: each takes 64 MiB.
type hasher struct {
	places chan struct{}
	params *argon2id.Params // of new hashes
}

func newHasher() *hasher { return &hasher{make(chan struct{}, 2), argon2id.DefaultParams} }

func (h *hasher) make(password string) (string, error) {
	h.places <- struct{}{}
	defer func() { <-h.places }()
	hash, err := argon2id.CreateHash(password, h.params)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return hash, nil
}

// nobody is the hash of a password that nobody has, so that a name that does not exist takes as long as one that does.
const nobody = "$argon2id$v=19$m=65536,t=1,p=2$c29tZXNhbHRzb21lc2FsdA$QDgdnpVlRCw2sGWnAqWoZW2RWMLFcC0S9mBVO3Ksfs0"

// fits tells whether a password belongs to a hash; "" fits nothing.
func (h *hasher) fits(password, hash string) bool {
	h.places <- struct{}{}
	defer func() { <-h.places }()
	known := hash != ""
	if !known {
		hash = nobody
	}
	ok, err := argon2id.ComparePasswordAndHash(password, hash)
	return err == nil && ok && known
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
	case zxcvbn.PasswordStrength(strings.ToLower(password), about).Score < 2:
		form.Fail(field, "err.password_common")
	}
}
