package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/db/dbtest"
)

// TestMigrateTo: from either database into either. The one that was copied holds what it held, and nobody uses it any more but who says so.
func TestMigrateTo(t *testing.T) {
	t.Parallel()
	for from, address := range dbtest.Databases(t) {
		was, env := keyWorld(t, address)
		for to, empty := range dbtest.Databases(t) {
			t.Run(from+" to "+to, func(t *testing.T) {
				before := auditOf(t, was)
				asked := append([]string{"TINYFORGE_TO=" + empty}, env...)
				out, err := runWith(t, asked, "migrate")
				if err != nil || !strings.Contains(out, " rows are in ") || !strings.Contains(out, "in TINYFORGE_DATABASE") {
					t.Fatalf("%q, %v", out, err)
				}
				is := was
				is.Database = empty
				opens(t, is)
				if log := auditOf(t, is); len(log) != len(before)+1 || log[0].Action != "settings.moved" {
					t.Errorf("the audit has %+v", log)
				}
				for _, args := range [][]string{{"migrate"}, {"rotate-key"}, {"backup", filepath.Join(t.TempDir(), "b")}, {"deployments", "web"}} {
					if _, err := runWith(t, env, args...); err == nil || !strings.Contains(err.Error(), "this database was copied to "+withoutPassword(empty)+" on 20") {
						t.Errorf("%s with what was copied: %v", args[0], err)
					}
				}
				if _, err := readyStore(t.Context(), was); err == nil || !strings.Contains(err.Error(), "this database was copied to ") { // as serve opens it
					t.Errorf("to serve from: %v", err)
				}
				if _, err := runWith(t, asked, "migrate"); err == nil || !strings.Contains(err.Error(), "this database was copied to "+withoutPassword(empty)+" on 20") {
					t.Errorf("a second time: %v", err)
				}
				opens(t, is)
				if out, err := runWith(t, env, "migrate", "--use-copied"); err != nil {
					t.Fatalf("%q, %v", out, err)
				}
				if log := auditOf(t, was); len(log) != len(before)+1 || log[0].Action != "settings.copied_used" {
					t.Errorf("the audit of the one that is used again has %+v", log)
				}
			})
		}
	}
}

// TestMigrateToKilled: killed between the copy and the mark, the old one starts, and the same command ends what is left to do, but not
// where the old one has been used meanwhile.
func TestMigrateToKilled(t *testing.T) {
	t.Parallel()
	for from, address := range dbtest.Databases(t) {
		was, env := keyWorld(t, address)
		for to, empty := range dbtest.Databases(t) {
			t.Run(from+" to "+to, func(t *testing.T) {
				killed := was
				killed.To = empty
				err := (&mover{config: killed, out: io.Discard, point: func(string) error { return errKilled }}).run(t.Context())
				if !errors.Is(err, errKilled) {
					t.Fatal(err)
				}
				opens(t, was)
				asked := append([]string{"TINYFORGE_TO=" + empty}, env...)
				if out, err := runWith(t, asked, "migrate"); err != nil || !strings.Contains(out, " rows are in ") {
					t.Fatalf("again: %q, %v", out, err)
				}
				is := was
				is.Database = empty
				if log := auditOf(t, is); log[0].Action != "settings.moved" {
					t.Errorf("the audit has %+v", log)
				}
				if _, err := readyStore(t.Context(), was); err == nil || !strings.Contains(err.Error(), "was copied to") {
					t.Errorf("the old one: %v", err)
				}
				if _, err := runWith(t, env, "migrate", "--use-copied"); err != nil { // which is written down there
					t.Fatal(err)
				}
				if _, err := runWith(t, asked, "migrate"); err == nil || !strings.Contains(err.Error(), "another state of this Tinyforge, such as it was before: do not start that") {
					t.Errorf("used meanwhile: %v", err)
				}
				opens(t, was)
			})
		}
	}
}

// TestMigrateBack: what one came from is not what one goes back to, and nobody is sent there.
func TestMigrateBack(t *testing.T) {
	t.Parallel()
	for from, address := range dbtest.Databases(t) {
		for to, empty := range dbtest.Databases(t) {
			t.Run(from+" to "+to, func(t *testing.T) {
				was, env := keyWorld(t, address)
				if _, err := runWith(t, env, "migrate", "--to", empty); err != nil {
					t.Fatal(err)
				}
				is := was
				is.Database = empty
				env[len(env)-1] = "TINYFORGE_DATABASE=" + empty
				if _, err := runWith(t, env, "migrate", "--to", address); err == nil || !strings.Contains(err.Error(), "do not start that") {
					t.Errorf("back: %v", err)
				}
				if _, err := runWith(t, env, "migrate", "--to", empty); err == nil || !strings.Contains(err.Error(), "is the database that you copy from") {
					t.Errorf("to itself: %v", err)
				}
				opens(t, is)
				if out, err := runWith(t, env, "migrate", "--to", dbtest.SQLite(t)); err != nil {
					t.Errorf("into an empty one: %q, %v", out, err)
				}
			})
			address = dbtest.SQLite(t)
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
	refused("a variable that nobody set", "--to, or TINYFORGE_TO, is empty", env, "--to", "")
	refused("no address", "--to, or TINYFORGE_TO: open database: the address must begin with", env, "--to", "mysql://127.0.0.1/a")
	foreign := dbtest.Postgres(t)
	dbtest.Exec(t, foreign, "CREATE TABLE shop (id uuid)")
	refused("another program's database", `the table "shop" is another program's: name an empty database`, env, "--to", foreign)
	refused("nothing to copy", "there is no Tinyforge in ", []string{"TINYFORGE_DATA=" + t.TempDir()}, "--to", dbtest.SQLite(t))
	store, err := readyStore(t.Context(), was)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	refused("somebody works with it", "stop tinyforge serve", env, "--to", dbtest.SQLite(t))
}

// TestAnothersKey: a second process on a database has the first one's key or none; it makes no file that would be in the way later.
func TestAnothersKey(t *testing.T) {
	t.Parallel()
	was, _ := keyWorld(t, dbtest.Postgres(t))
	env := []string{"TINYFORGE_DATA=" + filepath.Join(t.TempDir(), "second"), "TINYFORGE_DATABASE=" + was.Database}
	c, _, err := readConfig("serve", nil, env, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(c.Data, "key")
	if _, err := readyStore(t.Context(), c); err == nil || !strings.Contains(err.Error(), "TINYFORGE_KEY_FILE") {
		t.Errorf("without its key: %v", err)
	}
	if _, err := os.Stat(key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a key: %v", err)
	}
	stranger, err := db.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	other := c
	other.Key = stranger.Text()
	if _, err := readyStore(t.Context(), other); !errors.Is(err, db.ErrSealed) || !strings.Contains(err.Error(), "give this one its key, with TINYFORGE_KEY_FILE") {
		t.Errorf("with another key: %v", err)
	}
	c, _, err = readConfig("serve", nil, append(env, "TINYFORGE_KEY_FILE="+filepath.Join(was.Data, "key")), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	opens(t, c)
}

// TestDatabaseAway: the error names the variable to look at.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	const nobody = "postgres://ann@127.0.0.1:9/a?sslmode=disable"
	_, env := keyWorld(t, dbtest.SQLite(t))
	if _, err := runWith(t, append([]string{"TINYFORGE_TO=" + nobody}, env...), "migrate"); err == nil || !strings.HasPrefix(err.Error(), "--to, or TINYFORGE_TO: open database: ") {
		t.Errorf("to copy to: %v", err)
	}
	data := filepath.Join(t.TempDir(), "data")
	if _, err := runWith(t, []string{"TINYFORGE_DATA=" + data, "TINYFORGE_DATABASE=" + nobody}, "serve"); err == nil || !strings.HasPrefix(err.Error(), "TINYFORGE_DATABASE: open database: ") {
		t.Errorf("to serve from: %v", err)
	}
	if _, err := os.Stat(filepath.Join(data, "key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a key: %v", err)
	}
}
