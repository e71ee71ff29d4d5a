package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/db/dbtest"
)

var errKilled = errors.New("killed")

// keyWorld is a Tinyforge with a secret in its database.
func keyWorld(t *testing.T, address string, env ...string) (config, []string) {
	t.Helper()
	env = append(env, "TINYFORGE_DATA="+filepath.Join(t.TempDir(), "data"), "TINYFORGE_DATABASE="+address)
	c, _, err := readConfig("rotate-key", nil, env, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	store, err := readyStore(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.SaveForge(t.Context(), &db.Forge{Name: "forge", Kind: "gitea", Credentials: db.Credentials{Token: "s3cret"}}); err != nil {
		t.Fatal(err)
	}
	return c, env
}

// opens demands that the secret can be read with the key that there is.
func opens(t *testing.T, c config) {
	t.Helper()
	store, err := readyStore(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if f, err := store.ForgeByName(t.Context(), "forge"); err != nil || f.Credentials.Token != "s3cret" {
		t.Fatalf("the secret is %#v, %v", f.Credentials.Token, err)
	}
}

func auditOf(t *testing.T, c config) []db.AuditEntry {
	t.Helper()
	store, err := readyStore(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	list, err := store.AuditEntries(t.Context(), "", 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func keysIn(t *testing.T, c config) int {
	t.Helper()
	keys, err := sealingKey(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return keys.Keys()
}

// TestRotateKeyKilledAnywhere: at each of its points the database can be used with the key that is in the file, and the next
// try ends with one key, another than before, with which alone everything opens.
func TestRotateKeyKilledAnywhere(t *testing.T) {
	t.Parallel()
	for dialect, address := range dbtest.Databases(t) {
		t.Run(dialect, func(t *testing.T) {
			c, env := keyWorld(t, address)
			for i, point := range []string{"before the new key is kept", "new key kept", "old key shut out", "all sealed anew", "old key dropped"} {
				was, err := os.ReadFile(filepath.Join(c.Data, "key"))
				if err != nil {
					t.Fatal(err)
				}
				reached := false
				r := &rotation{config: c, out: io.Discard, point: func(name string) error {
					if reached = reached || name == point; reached {
						return errKilled
					}
					return nil
				}}
				if err := r.run(t.Context()); !errors.Is(err, errKilled) {
					t.Fatalf("%s: %v", point, err)
				}
				opens(t, c)
				if point != "old key dropped" {
					if err := run(t.Context(), []string{"rotate-key"}, env, io.Discard, io.Discard); err != nil {
						t.Fatalf("after %s: %v", point, err)
					}
					opens(t, c)
				}
				if log := auditOf(t, c); len(log) < i+1 || log[0].Action != "settings.key_rotated" {
					t.Errorf("%s: the audit has %+v", point, log)
				}
				is, err := os.ReadFile(filepath.Join(c.Data, "key"))
				if err != nil || bytes.Equal(is, was) || keysIn(t, c) != 1 {
					t.Errorf("%s: the key is %d keys, %v", point, keysIn(t, c), err)
				}
				left, err := filepath.Glob(filepath.Join(c.Data, "key-*"))
				if err != nil || len(left) > 0 {
					t.Errorf("%s: %q are left, %v", point, left, err)
				}
				old := c
				old.Key = string(was)
				if _, err := readyStore(t.Context(), old); !errors.Is(err, db.ErrSealed) {
					t.Errorf("%s: with the old key: %v", point, err)
				}
			}
		})
	}
}

// TestRotateKeyWaitsForNobody: while somebody works with the key it says what to do, and changes nothing; who comes while it is
// replaced waits, and has the new one.
func TestRotateKeyWaitsForNobody(t *testing.T) {
	t.Parallel()
	for dialect, address := range dbtest.Databases(t) {
		t.Run(dialect, func(t *testing.T) {
			c, env := keyWorld(t, address)
			store, err := readyStore(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			refused(t, env, "stop tinyforge serve")
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			other := c
			other.Data = t.TempDir() // another machine
			other.Key = textOf(t, c)
			if store, err = readyStore(t.Context(), other); err != nil {
				t.Fatal(err)
			}
			if dialect == "postgres" {
				refused(t, env, "another tinyforge uses this database")
			}
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			came := make(chan error, 1)
			r := &rotation{config: c, out: io.Discard, point: func(name string) error {
				if name == "new key kept" {
					waiting := make(chan struct{})
					go func() {
						close(waiting)
						store, err := readyStore(context.WithoutCancel(t.Context()), c)
						came <- errors.Join(err, closed(store))
					}()
					<-waiting
				}
				return nil
			}}
			if err := r.run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := <-came; err != nil {
				t.Errorf("who came meanwhile: %v", err)
			}
			opens(t, c)
		})
	}
}

func closed(d *db.DB) error {
	if d == nil {
		return nil
	}
	return d.Close()
}

func textOf(t *testing.T, c config) string {
	t.Helper()
	keys, err := sealingKey(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return keys.Text()
}

func refused(t *testing.T, env []string, words string) {
	t.Helper()
	if err := run(t.Context(), []string{"rotate-key"}, env, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("it answers %v, want %q", err, words)
	}
}

// TestRotateKeyOfTheEnvironment: it prints what to set, and uses nothing that was not set.
func TestRotateKeyOfTheEnvironment(t *testing.T) {
	t.Parallel()
	keys, err := db.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	address := dbtest.SQLite(t)
	c, env := keyWorld(t, address, "TINYFORGE_KEY="+keys.Text())
	for _, want := range []int{2, 1} {
		var out bytes.Buffer
		if err := run(t.Context(), []string{"rotate-key"}, env, &out, io.Discard); err != nil {
			t.Fatal(err)
		}
		opens(t, c)
		_, text, _ := strings.Cut(out.String(), "\n\n")
		next, err := db.ParseKeyring(text)
		if err != nil || next.Keys() != want {
			t.Fatalf("it printed %q: %v", out.String(), err)
		}
		c.Key = next.Text()
		env = append([]string{"TINYFORGE_KEY=" + next.Text()}, env[1:]...)
		opens(t, c)
	}
	if _, err := os.Stat(filepath.Join(c.Data, "key")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a file with a key: %v", err)
	}
	c.Key = keys.Text()
	if _, err := readyStore(t.Context(), c); !errors.Is(err, db.ErrSealed) {
		t.Errorf("the old key: %v", err)
	}
}

// TestRotateKeyOfNothing: it makes no Tinyforge.
func TestRotateKeyOfNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nothing")
	refused(t, []string{"TINYFORGE_DATA=" + dir}, "there is no Tinyforge in "+dir)
	refused(t, []string{"TINYFORGE_DATA=" + dir, "TINYFORGE_DATABASE=postgres://127.0.0.1:1/none"}, "there is no data folder "+dir)
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder was made: %v", err)
	}
}

// TestAnotherUsersFolder: no command leaves files in it that its owner could not read.
func TestAnotherUsersFolder(t *testing.T) {
	dir, owner := "/usr", "root"
	if os.Geteuid() == 0 {
		dir, owner = t.TempDir(), "nobody"
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"serve", "proxy", "migrate"} {
		err := run(t.Context(), []string{name, "--data", dir}, nil, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), dir+" belongs to the user "+owner+": run this as that user, with sudo -u "+owner) {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := os.ReadDir(dir); err != nil || owner == "nobody" && len(left) > 0 {
			t.Errorf("%s left %v (%v)", name, left, err)
		}
	}
}
