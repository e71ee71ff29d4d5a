package settings

import (
	"strings"
	"testing"
)

// TestPasswordsAreHashedDearly: whoever steals the hashes pays 64 MiB for each try, and so does who signs in as nobody.
func TestPasswordsAreHashedDearly(t *testing.T) {
	h := New(Config{}).hash
	hash, err := h.make("correct horse battery staple")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{hash, nobody} {
		if !strings.HasPrefix(s, "$argon2id$v=19$m=65536,t=1,p=") {
			t.Errorf("the hash is %s", s)
		}
	}
	if !h.fits("correct horse battery staple", hash) || h.fits("correct horse battery", hash) || h.fits("", "") {
		t.Error("what fits the hash is not the password alone")
	}
}
