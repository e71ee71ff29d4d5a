package db

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// ErrSealed is returned when a sealed value does not open: another key sealed it, or it was altered.
var ErrSealed = errors.New("sealed value does not open with this key")

// Keyring seals what must not be readable in the database. It is a Tink keyset in its JSON form, so that keys can be
// added and the primary one changed while older values still open. Safe for concurrent use.
type Keyring struct {
	text string
	aead tink.AEAD
}

// NewKeyring makes a keyring with one new AES-256-GCM key.
func NewKeyring() (*Keyring, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	var text bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text)); err != nil {
		return nil, fmt.Errorf("write key: %w", err)
	}
	return ParseKeyring(text.String())
}

// ParseKeyring reads what Text wrote.
func ParseKeyring(text string) (*Keyring, error) {
	text = strings.TrimSpace(text)
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(strings.NewReader(text)))
	if err != nil {
		return nil, errors.New("parse key: this is not a sealing key; use the text that the first start wrote, whole")
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("open key: %w", err)
	}
	return &Keyring{text: text, aead: primitive}, nil
}

// String and GoString keep the keys out of what prints a Keyring by chance.
func (*Keyring) String() string   { return "[secret]" }
func (*Keyring) GoString() string { return "[secret]" }

// Text is the keyring in clear, for its file of mode 0600.
func (k *Keyring) Text() string { return k.text }

// Derive returns a secret for one purpose, the same until the keyring changes. Nobody without the keyring can know it.
func (k *Keyring) Derive(purpose string) []byte {
	mac := hmac.New(sha256.New, []byte(k.text))
	mac.Write([]byte("tinyforge derived: " + purpose))
	return mac.Sum(nil)
}

// seal encodes v as JSON and seals it for one purpose ("forges.credentials"): it opens for no other.
func (k *Keyring) seal(v any, purpose string) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", purpose, err)
	}
	sealed, err := k.aead.Encrypt(text, []byte(purpose))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", purpose, err)
	}
	return sealed, nil
}

// open is the reverse of seal. An empty sealed value leaves v as it is.
func (k *Keyring) open(sealed []byte, v any, purpose string) error {
	if len(sealed) == 0 {
		return nil
	}
	text, err := k.aead.Decrypt(sealed, []byte(purpose))
	if err != nil {
		return fmt.Errorf("open %s: %w", purpose, ErrSealed)
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("decode %s: %w", purpose, err)
	}
	return nil
}
