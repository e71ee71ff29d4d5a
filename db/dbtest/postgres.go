package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptrace/bun/driver/pgdriver"
)

// shared is the one cluster of a test process: to start it takes seconds, to make a database in it some milliseconds.
var shared = sync.OnceValues(startCluster)

var databases atomic.Int64

// Postgres returns the address of an empty PostgreSQL database: "postgres://tinyforge@127.0.0.1:port/name?sslmode=disable".
// The server belongs to the test process and ends with it, in whatever way that ends.
func Postgres(t testing.TB) string { t.Helper(); return postgres(t, "") }

// postgres makes a database with options.
func postgres(t testing.TB, options string) string {
	t.Helper()
	c, err := shared()
	if err != nil {
		t.Fatalf("this test needs PostgreSQL: %v", err)
	}
	name := fmt.Sprintf("test_%d", databases.Add(1))
	if err := c.admin("CREATE DATABASE " + name + options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.admin("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return c.url(name)
}

func (c *cluster) url(database string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", superuser, c.port, database)
}

// Exec runs statements in a PostgreSQL database as somebody does who is not Tinyforge.
func Exec(t testing.TB, address, statements string) {
	t.Helper()
	if err := execute(address, statements); err != nil {
		t.Fatal(err)
	}
}

// admin runs a statement that needs a connection of its own.
func (c *cluster) admin(statement string) error { return execute(c.url("postgres"), statement) }

func execute(address, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	db := sql.OpenDB(pgdriver.NewConnector(pgdriver.WithDSN(address)))
	defer db.Close()
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("run %q on PostgreSQL: %w", statement, err)
	}
	return nil
}
