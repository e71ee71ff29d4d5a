package main

import (
	"path/filepath"
	"strings"
	"testing"

	"tinyforge/db/dbtest"
)

// TestTwins: of what a backup made two of, one serves at a time, whichever comes first, and each at once when the other has ended.
func TestTwins(t *testing.T) {
	t.Parallel()
	for name, databases := range map[string][2]string{
		"SQLite": {dbtest.SQLite(t), dbtest.SQLite(t)}, "PostgreSQL": {dbtest.Postgres(t), dbtest.Postgres(t)}, "both": {dbtest.Postgres(t), dbtest.SQLite(t)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old, file := backedUp(t, databases[0], "--with-key")
			again, env := emptyPlace(t, databases[1])
			if said, err := runWith(t, env, "restore", file); err != nil || !strings.Contains(said, "systemctl disable --now tinyforge") {
				t.Fatalf("%v, %q", err, said)
			}
			for _, pair := range [][2]config{{old, again}, {again, old}} {
				end := prepared(t, pair[0])
				if _, _, err := prepare(t.Context(), pair[1]); err == nil || !strings.Contains(err.Error(), "systemctl disable --now tinyforge") ||
					!strings.Contains(err.Error(), "serves from "+pair[0].Data[:20]) {
					t.Errorf("beside it: %v", err)
				}
				end()
				prepared(t, pair[1])()
			}
		})
	}
}

// TestTwinsShareADatabase: who share a PostgreSQL are one, also when its key was replaced.
func TestTwinsShareADatabase(t *testing.T) {
	t.Parallel()
	c, env := keyWorld(t, dbtest.Postgres(t))
	if _, err := runWith(t, env, "rotate-key"); err != nil {
		t.Fatal(err)
	}
	other := c
	other.Data, other.Key = filepath.Join(t.TempDir(), "other"), textOf(t, c)
	defer prepared(t, c)()
	prepared(t, other)()
	prepared(t, other)()
}

// prepared is prepare for one that must be able to.
func prepared(t *testing.T, c config) (end func()) {
	t.Helper()
	_, end, err := prepare(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return end
}
