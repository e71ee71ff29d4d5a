package db_test

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/db/dbtest"
)

func TestOpenRefusesWrongAddresses(t *testing.T) {
	const password = "pa55word"
	const nobody = "127.0.0.1:9" // listens there, which is no port of those that are given out
	server, err := url.Parse(dbtest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, address, says string }{
		{"empty", "", "must begin with"},
		{"path only", "/var/lib/tinyforge.db", "must begin with"},
		{"other database", "mysql://root:" + password + "@localhost/tinyforge", "must begin with"},
		{"no file", "sqlite://", "names no file"},
		{"memory", "sqlite://:memory:", "names no file"},
		{"no folder", "sqlite://" + filepath.Join(t.TempDir(), "absent", "tinyforge.db"), "unable to open"},
		{"a folder", "sqlite://" + t.TempDir(), "unable to open"},
		{"no host", "postgres:///tinyforge?password=" + password, "not a URL"},
		{"percent in password", "postgres://ann:" + password + "%zz@localhost/tinyforge", "percent-encoded"},
		{"hash in password", "postgres://ann:1#" + password + "@localhost/tinyforge", "percent-encoded"},
		{"slash in password", "postgres://ann:1/" + password + "@localhost/tinyforge", "percent-encoded"},
		{"question mark in password", "postgres://ann:1?" + password + "@localhost/tinyforge", "percent-encoded"},
		{"no user", "postgres://:" + password + "@localhost/tinyforge", "wrong option"},
		{"unknown sslmode", "postgres://ann:" + password + "@localhost/tinyforge?sslmode=perhaps", "sslmode"},
		{"certificate absent", "postgres://ann:" + password + "@localhost/tinyforge?sslrootcert=/absent.pem", "root CA"},
		{"nobody listens", "postgres://ann:" + password + "@" + nobody + "/tinyforge?sslmode=disable", "refused"},
		{"unknown user", "postgres://ann:" + password + "@" + server.Host + server.Path + "?sslmode=disable", "ann"},
		{"unknown database", "postgres://tinyforge:" + password + "@" + server.Host + "/absent?sslmode=disable", "absent"},
		{"unknown parameter", "postgres://tinyforge:" + password + "@" + server.Host + server.Path + "?sslmode=disable&colour=red", "colour"},
		{"no TLS", "postgres://tinyforge:" + password + "@" + server.Host + server.Path, "add ?sslmode=disable to its address if nobody can be in between"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := db.Open(t.Context(), c.address, newKeys(t))
			if err == nil {
				t.Fatal("opened", errors.Join(d.Close()))
			}
			if !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "open database: ") {
				t.Errorf("got %q, want it to say %q", err, c.says)
			}
			if strings.Contains(err.Error(), password) {
				t.Errorf("the error names the password: %q", err)
			}
		})
	}
}

func TestOpenTakesAnyFileName(t *testing.T) {
	for _, name := range []string{"plain.db", "with space.db", "per%20cent.db", "question?mark=1.db", "hash#.db", "ünïcode.db"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			d := open(t, "sqlite://"+path, newKeys(t))
			if _, err := d.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				if !strings.HasPrefix(file, path) {
					t.Errorf("made %s, want %s", file, path)
				}
			}
		})
	}
}

// A file that another process writes to at that moment cannot be turned to WAL; who opens it waits.
func TestOpenWaitsForAWriter(t *testing.T) {
	address := dbtest.SQLite(t)
	writer, err := sql.Open("sqlite", strings.TrimPrefix(address, "sqlite://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = writer.Close() }()
	writer.SetMaxOpenConns(1)
	for _, statement := range []string{"CREATE TABLE other (id)", "BEGIN IMMEDIATE"} {
		if _, err := writer.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, err := db.Open(ctx, address, newKeys(t)); err == nil || !strings.Contains(err.Error(), "does not let go of it") {
		t.Errorf("who waits no longer gets %v", err)
	}
	time.AfterFunc(100*time.Millisecond, func() {
		for { // it is refused while the one who opens reads
			if _, err := writer.ExecContext(context.WithoutCancel(t.Context()), "COMMIT"); err == nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	open(t, address, newKeys(t))
}

func TestPing(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.check(f.Ping(t.Context()))
		d, err := db.Open(t.Context(), f.address, f.keys)
		f.check(err)
		f.check(d.Close())
		if d.Ping(t.Context()) == nil {
			t.Error("a closed database answers")
		}
	})
}

func TestSQLiteSettings(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t))
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000"} {
		var got string
		f.check(f.Bun().QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got))
		if got != want {
			t.Errorf("%s is %s, want %s", pragma, got, want)
		}
	}
}
