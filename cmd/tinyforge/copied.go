package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"tinyforge/db"
)

// The settings that migrate --to leaves. No backup has the first: who makes one is refused as everybody is.
const (
	copiedTo   = "copied_to"   // in the database that was copied: when, and the address of the other one without its password
	copiedFrom = "copied_from" // in the copy: the state that was copied, as a stateSum
)

// isMark tells whether a row is one of these settings.
func isMark(r db.Record) bool {
	return len(r.Row) == 2 && (r.Row[0] == copiedTo || r.Row[0] == copiedFrom)
}

// markCopied keeps everybody from using a database that was copied.
func markCopied(ctx context.Context, store *db.DB, to string) error {
	err := store.SetSettings(ctx, map[string]string{copiedTo: time.Now().UTC().Format("2006-01-02 15:04:05 UTC") + " " + to})
	if err != nil {
		return fmt.Errorf("all is in %s, but it cannot be written down in the database that was copied, so run this again: %w", to, err)
	}
	return nil
}

// refuseCopied refuses a database that was copied to another one, since what happened there it does not know.
func refuseCopied(ctx context.Context, store *db.DB) error {
	mark, err := store.Setting(ctx, copiedTo)
	if err != nil || mark == "" {
		return err
	}
	words := strings.SplitN(mark, " ", 4)
	return fmt.Errorf("this database was copied to %s on %s: set TINYFORGE_DATABASE to that one.\n"+
		"To come back with all that happened since, move this one aside and copy that one here, with tinyforge migrate --to;\n"+
		"to give up what happened there, stop what serves from it and run tinyforge migrate --use-copied on this one",
		words[3], strings.Join(words[:3], " "))
}

// useCopied lets a database be used again.
func useCopied(ctx context.Context, c config) error {
	if err := hasStore(c); err != nil {
		return err
	}
	store, err := openStore(ctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	if _, err := store.Migrate(ctx); err != nil {
		return err
	}
	if err := store.CheckKey(ctx); err != nil {
		return err
	}
	if mark, err := store.Setting(ctx, copiedTo); err != nil || mark == "" {
		return err
	}
	if err := store.SetSettings(ctx, map[string]string{copiedTo: ""}); err != nil {
		return err
	}
	return store.Audit(ctx, db.AuditEntry{Action: "settings.copied_used"})
}

// stateSum tells one state of a database from another, in whatever order the rows of a table come.
type stateSum struct {
	table string
	sum   [sha256.Size]byte
}

func (s *stateSum) add(r db.Record) error {
	if r.Table != "" {
		s.table = r.Table
	}
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("sum rows up: %w", err)
	}
	for i, b := range sha256.Sum256(append([]byte(s.table+" "), text...)) {
		s.sum[i] ^= b
	}
	return nil
}

func (s *stateSum) text() string { return hex.EncodeToString(s.sum[:]) }
