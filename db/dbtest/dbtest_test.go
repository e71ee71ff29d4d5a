package dbtest_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun/driver/pgdriver"
	_ "modernc.org/sqlite"

	"tinyforge/db/dbtest"
)

func TestDatabasesAreFresh(t *testing.T) {
	seen := map[string]int{}
	for range 2 {
		for dialect, address := range dbtest.Databases(t) {
			seen[dialect]++
			db := open(t, dialect, address)
			if _, err := db.ExecContext(t.Context(), "CREATE TABLE once (id INTEGER)"); err != nil {
				t.Errorf("%s at %s: %v", dialect, address, err)
			}
		}
	}
	if len(seen) != 2 || seen["sqlite"] != 2 || seen["postgres"] != 2 {
		t.Errorf("got databases %v, want two of each dialect", seen)
	}
}

func TestCopiesOfATemplate(t *testing.T) {
	filled := map[string]int{}
	template := dbtest.NewTemplate(func(address string) error {
		dialect, _, _ := strings.Cut(address, ":")
		filled[dialect]++
		db := open(t, dialect, address)
		_, err := db.ExecContext(t.Context(), "CREATE TABLE filled (id INTEGER)")
		return errors.Join(err, db.Close())
	})
	for range 2 {
		for dialect, address := range template.Databases(t) {
			db, rows := open(t, dialect, address), 0
			if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM filled").Scan(&rows); err != nil || rows != 0 {
				t.Errorf("%s at %s: %d rows, %v, want none in a table that is there", dialect, address, rows, err)
			}
			if _, err := db.ExecContext(t.Context(), "INSERT INTO filled VALUES (1)"); err != nil {
				t.Errorf("%s at %s: %v", dialect, address, err)
			}
		}
	}
	if len(filled) != 2 || filled["sqlite"] != 1 || filled["postgres"] != 1 {
		t.Errorf("filled %v, want each dialect once", filled)
	}
}

func TestDatabasesEndWithTheTest(t *testing.T) {
	var address string
	t.Run("inner", func(t *testing.T) {
		address = dbtest.Postgres(t)
		if err := open(t, "postgres", address).PingContext(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if err := open(t, "postgres", address).PingContext(t.Context()); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("after the test: %v, want a database that does not exist", err)
	}
}

// holdVariable makes TestHold the process that TestServerEndsWithTheProcess kills. It does not outlive us.
const holdVariable = "DBTEST_HOLD"

func TestHold(t *testing.T) {
	if os.Getenv(holdVariable) == "" {
		return
	}
	fmt.Println("address", dbtest.Postgres(t))
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func TestServerEndsWithTheProcess(t *testing.T) {
	tmp := t.TempDir()
	openUp(t, tmp)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestHold$") // kill -9 on cancel
	cmd.Env = append(os.Environ(), holdVariable+"=1", "TMPDIR="+tmp)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	address := ""
	for address == "" && lines.Scan() {
		address, _ = strings.CutPrefix(lines.Text(), "address ")
	}
	if err := open(t, "postgres", address).PingContext(t.Context()); err != nil {
		t.Fatalf("before the end of the process: %v", err)
	}
	cancel()
	_ = cmd.Wait()
	waitUntil(t, "the server answers no more", func() bool { return open(t, "postgres", address).PingContext(t.Context()) != nil })
	waitUntil(t, "its files are gone", func() bool { return countFiles(t, tmp) == 0 })
}

// openUp lets the server's user into a temporary folder of ours.
func openUp(t *testing.T, dir string) {
	t.Helper()
	for d := dir; d != filepath.Clean(os.TempDir()) && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
}

func open(t *testing.T, dialect, address string) *sql.DB {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	var db *sql.DB
	switch dialect {
	case "sqlite":
		db, err = sql.Open("sqlite", u.Path)
	default:
		db = sql.OpenDB(pgdriver.NewConnector(pgdriver.WithDSN(address)))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("waited a minute until %s", what)
		case <-again.C:
		}
	}
}

// countFiles ignores what vanishes while it counts.
func countFiles(t *testing.T, dir string) (n int) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && path != dir {
			n++
		}
		return nil
	})
	return n
}

func TestServerIsDisturbed(t *testing.T) {
	server := dbtest.NewServer(t)
	db := open(t, "postgres", server.URL())
	db.SetMaxOpenConns(1)
	ping := func() error { _, err := db.ExecContext(t.Context(), "SELECT 1"); return err }
	if err := ping(); err != nil {
		t.Fatal(err)
	}
	for name, disturb := range map[string]func(){"cut": server.Cut, "restarted": server.Restart} {
		disturb()
		if ping() == nil {
			t.Errorf("the connection was not %s", name)
		}
		if err := ping(); err != nil {
			t.Errorf("%s, and then: %v", name, err)
		}
	}
}
