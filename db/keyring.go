package db

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
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
	text    string
	aead    tink.AEAD
	handle  *keyset.Handle
	primary uint32 // id of the key that seals
}

// NewKeyring makes a keyring with one new AES-256-GCM key.
func NewKeyring() (*Keyring, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return keyringOf(handle)
}

func keyringOf(handle *keyset.Handle) (*Keyring, error) {
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
	return &Keyring{text, primitive, handle, handle.KeysetInfo().GetPrimaryKeyId()}, nil
}

// Keys is how many keys the keyring has. Values that any of them sealed open.
func (k *Keyring) Keys() int { return k.handle.Len() }

// Rotated is a keyring with a new key that seals from now on, beside those of this one.
func (k *Keyring) Rotated() (*Keyring, error) {
	m := keyset.NewManagerFromHandle(k.handle)
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	if err == nil {
		err = m.SetPrimary(id)
	}
	return managed(m, err)
}

// Newest is a keyring with the key alone that seals. What the others sealed does not open with it.
func (k *Keyring) Newest() (*Keyring, error) {
	m := keyset.NewManagerFromHandle(k.handle)
	var err error
	for _, key := range k.handle.KeysetInfo().GetKeyInfo() {
		if id := key.GetKeyId(); id != k.primary && err == nil {
			err = m.Delete(id)
		}
	}
	return managed(m, err)
}

func managed(m *keyset.Manager, err error) (*Keyring, error) {
	var handle *keyset.Handle
	if err == nil {
		handle, err = m.Handle()
	}
	if err != nil {
		return nil, fmt.Errorf("change keys: %w", err)
	}
	return keyringOf(handle)
}

// String and GoString keep the keys out of what prints a Keyring by chance.
func (*Keyring) String() string   { return "[secret]" }
func (*Keyring) GoString() string { return "[secret]" }

// Text is the keyring in clear, for its file of mode 0600.
func (k *Keyring) Text() string { return k.text }

// Derive returns a secret for one purpose, the same until the keyring changes. Nobody without the keyring can know it.
func (k *Keyring) Derive(purpose string) []byte { return derive([]byte(k.text), purpose) }

func derive(root []byte, purpose string) []byte {
	mac := hmac.New(sha256.New, root)
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

// reseal seals with the primary key what another key has sealed. changed is false where it was the primary already.
func (k *Keyring) reseal(sealed []byte, purpose string) (again []byte, changed bool, err error) {
	const marked = 5 // bytes: a one, and the id of the key
	if len(sealed) == 0 || len(sealed) >= marked && sealed[0] == 1 && binary.BigEndian.Uint32(sealed[1:marked]) == k.primary {
		return sealed, false, nil
	}
	text, err := k.aead.Decrypt(sealed, []byte(purpose))
	if err != nil {
		return nil, false, fmt.Errorf("open %s: %w", purpose, ErrSealed)
	}
	if again, err = k.aead.Encrypt(text, []byte(purpose)); err != nil {
		return nil, false, fmt.Errorf("seal %s: %w", purpose, err)
	}
	return again, true, nil
}

// Opens tells whether the keyring is the one of the database that a Snapshot has this Check of.
func (k *Keyring) Opens(check string) bool {
	var text string
	sealed, err := base64.StdEncoding.DecodeString(check)
	return err == nil && len(sealed) > 0 && k.open(sealed, &text, sealCheck) == nil
}

// SealFile seals a file's content, which opens under the same name alone.
func (k *Keyring) SealFile(name string, content []byte) ([]byte, error) {
	return k.seal(content, sealFile+name)
}

// OpenFile is the reverse of SealFile.
func (k *Keyring) OpenFile(name string, sealed []byte) (content []byte, err error) {
	err = k.open(sealed, &content, sealFile+name)
	return content, err
}

const sealFile = "file."
