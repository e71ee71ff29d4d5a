package db

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ErrDraft is returned by OpenDraft for a text that is too old, of another purpose, or not ours.
var ErrDraft = errors.New("the draft is too old or not ours")

// draft is what SealDraft seals.
type draft struct {
	Until time.Time       `json:"until"`
	Value json.RawMessage `json:"value"`
}

// SealDraft makes a text of a value that only OpenDraft can read, for a while: for what a browser keeps for us and must not
// read or change. Purpose keeps the drafts of one use out of another.
func (d *DB) SealDraft(purpose string, value any, life time.Duration) (string, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("seal draft: %w", err)
	}
	sealed, err := d.keys.seal(draft{Until: now().Add(life), Value: raw}, "draft."+purpose)
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// OpenDraft reads what SealDraft made, or returns ErrDraft.
func (d *DB) OpenDraft(purpose, text string, value any) error {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return ErrDraft
	}
	var opened draft
	if err := d.keys.open(sealed, &opened, "draft."+purpose); err != nil || now().After(opened.Until) {
		return ErrDraft
	}
	if err := json.Unmarshal(opened.Value, value); err != nil {
		return ErrDraft
	}
	return nil
}
