// Package dbtest gives tests real, empty databases of every dialect. It is for tests only and knows nothing of package
// db, which must be given their addresses and migrates them itself.
package dbtest

import (
	"iter"
	"path/filepath"
	"testing"
)

// Databases yields the name of each dialect, "sqlite" and "postgres", with the address of a fresh database of it. They
// last as long as t. A machine without PostgreSQL fails the test: a suite that runs on half of the dialects proves little.
func Databases(t testing.TB) iter.Seq2[string, string] {
	return func(yield func(dialect, url string) bool) {
		_ = yield("sqlite", SQLite(t)) && yield("postgres", Postgres(t))
	}
}

// SQLite returns the address of a file that does not exist yet: "sqlite:///tmp/.../tinyforge.db".
func SQLite(t testing.TB) string {
	t.Helper()
	return "sqlite://" + filepath.ToSlash(filepath.Join(t.TempDir(), "tinyforge.db"))
}
