package main

import (
	"strings"
	"testing"

	"tinyforge/db/dbtest"
)

// TestMigrateTo: from either database into either. The one that was copied stays as it was.
func TestMigrateTo(t *testing.T) {
	t.Parallel()
	for from, address := range dbtest.Databases(t) {
		was, env := keyWorld(t, address)
		before := len(auditOf(t, was))
		for to, empty := range dbtest.Databases(t) {
			t.Run(from+" to "+to, func(t *testing.T) {
				asked := append([]string{"TINYFORGE_TO=" + empty}, env...)
				out, err := runWith(t, asked, "migrate")
				if err != nil || !strings.Contains(out, " rows are in ") || !strings.Contains(out, "in TINYFORGE_DATABASE") {
					t.Fatalf("%q, %v", out, err)
				}
				is := was
				is.Database = empty
				opens(t, is)
				opens(t, was)
				if log := auditOf(t, is); len(log) != before+1 || log[0].Action != "settings.moved" {
					t.Errorf("the audit has %+v", log)
				}
				if n := len(auditOf(t, was)); n != before {
					t.Errorf("the audit of the one that was copied has %d entries, and had %d", n, before)
				}
				if _, err := runWith(t, asked, "migrate"); err == nil || !strings.Contains(err.Error(), "was copied to ") {
					t.Errorf("a second time: %v", err)
				}
				opens(t, is)
			})
		}
	}
}

func TestMigrateToRefuses(t *testing.T) {
	t.Parallel()
	was, env := keyWorld(t, dbtest.SQLite(t))
	_, others := keyWorld(t, dbtest.SQLite(t))
	another := strings.TrimPrefix(others[1], "TINYFORGE_DATABASE=")
	refused := func(what, want string, env []string, args ...string) {
		t.Helper()
		if _, err := runWith(t, env, append([]string{"migrate"}, args...)...); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	refused("another's database", "is not empty: name an empty database", env, "--to", another)
	refused("a password that all can see", "give the address in TINYFORGE_TO", env, "--to", "postgres://ann:s3cret@127.0.0.1:1/tinyforge")
	refused("no address", "--to: open database: the address must begin with", env, "--to", "mysql://127.0.0.1/a")
	refused("nothing to copy", "there is no Tinyforge in ", []string{"TINYFORGE_DATA=" + t.TempDir()}, "--to", dbtest.SQLite(t))
	store, err := readyStore(t.Context(), was)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	refused("somebody works with it", "stop tinyforge serve", env, "--to", dbtest.SQLite(t))
}
