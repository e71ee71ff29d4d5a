// Package migratedtest gives tests databases in which every migration has run. Each is a copy of one, which takes less time
// than to run them.
package migratedtest

import (
	"context"
	"errors"
	"iter"
	"testing"

	"tinyforge/db"
	"tinyforge/db/dbtest"
)

var template = dbtest.NewTemplate(func(address string) error {
	keys, err := db.NewKeyring()
	if err != nil {
		return err
	}
	store, err := db.Open(context.Background(), address, keys)
	if err != nil {
		return err
	}
	_, err = store.Migrate(context.Background())
	return errors.Join(err, store.Close())
})

// Databases is dbtest.Databases.
func Databases(t testing.TB) iter.Seq2[string, string] { return template.Databases(t) }

// SQLite is dbtest.SQLite.
func SQLite(t testing.TB) string {
	t.Helper()
	return template.SQLite(t)
}

// Postgres is dbtest.Postgres.
func Postgres(t testing.TB) string {
	t.Helper()
	return template.Postgres(t)
}
