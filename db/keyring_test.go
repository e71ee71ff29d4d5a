package db

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

func TestSealAndOpen(t *testing.T) {
	keys, other := newKeyring(t), newKeyring(t)
	sealed, err := keys.seal("secret", "purpose")
	if err != nil {
		t.Fatal(err)
	}
	again, err := keys.seal("secret", "purpose")
	if err != nil || string(again) == string(sealed) {
		t.Errorf("sealed twice the same way: %v", err)
	}
	var text string
	if err := keys.open(sealed, &text, "purpose"); err != nil || text != "secret" {
		t.Errorf("got %q, %v", text, err)
	}
	altered := append([]byte(nil), sealed...)
	altered[len(altered)-1] ^= 1
	for name, err := range map[string]error{
		"another key":     other.open(sealed, &text, "purpose"),
		"another purpose": keys.open(sealed, &text, "other"),
		"altered":         keys.open(altered, &text, "purpose"),
		"cut":             keys.open(sealed[:3], &text, "purpose"),
	} {
		if !errors.Is(err, ErrSealed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	text = "as it was"
	if err := keys.open(nil, &text, "purpose"); err != nil || text != "as it was" {
		t.Errorf("nothing: got %q, %v", text, err)
	}
}

func TestKeysCanBeRotated(t *testing.T) {
	keys := newKeyring(t)
	sealed, err := keys.seal("secret", "purpose")
	if err != nil {
		t.Fatal(err)
	}
	rotated := rotate(t, keys)
	newer, err := rotated.seal("newer", "purpose")
	if err != nil {
		t.Fatal(err)
	}
	var text string
	if err := rotated.open(sealed, &text, "purpose"); err != nil || text != "secret" {
		t.Errorf("the older value: %q, %v", text, err)
	}
	if err := keys.open(newer, &text, "purpose"); !errors.Is(err, ErrSealed) {
		t.Errorf("the newer value with the older key: %v", err)
	}
}

// rotate adds a key and makes it the primary one, as an administrator does with Tink's tool.
func rotate(t *testing.T, keys *Keyring) *Keyring {
	t.Helper()
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(strings.NewReader(keys.Text())))
	if err != nil {
		t.Fatal(err)
	}
	manager := keyset.NewManagerFromHandle(handle)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	if err := manager.SetPrimary(id); err != nil {
		t.Fatal(err)
	}
	if handle, err = manager.Handle(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text)); err != nil {
		t.Fatal(err)
	}
	rotated, err := ParseKeyring(text.String())
	if err != nil {
		t.Fatal(err)
	}
	return rotated
}

func TestKeysAreNotPrinted(t *testing.T) {
	keys := newKeyring(t)
	_, value, _ := strings.Cut(keys.Text(), `"value":`)
	value, _, _ = strings.Cut(strings.TrimLeft(value, `"`), `"`)
	if value == "" {
		t.Fatalf("no key in %s", keys.Text())
	}
	if text := fmt.Sprintf("%v %+v %#v %s", keys, keys, keys, keys); strings.Contains(text, value) {
		t.Errorf("got %s", text)
	}
}

func newKeyring(t *testing.T) *Keyring {
	t.Helper()
	keys, err := NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestDerive(t *testing.T) {
	keys, other := newKeyring(t), newKeyring(t)
	again, err := ParseKeyring(keys.Text())
	if err != nil {
		t.Fatal(err)
	}
	secret := string(keys.Derive("one"))
	if len(secret) != 32 || secret != string(again.Derive("one")) {
		t.Errorf("got %q", secret)
	}
	if secret == string(keys.Derive("two")) || secret == string(other.Derive("one")) {
		t.Error("another purpose or keyring gives the same secret")
	}
}
