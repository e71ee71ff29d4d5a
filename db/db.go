// Package db is the vocabulary of Tinyforge: its rows, what they mean, and all SQL. It imports nothing of the project.
//
// A DB works on SQLite, the embedded default for one process, and on PostgreSQL, where several processes may share it.
// Every method is safe for concurrent use. Times are UTC.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/driver/pgdriver"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var (
	// ErrNotFound is returned when a row does not exist.
	ErrNotFound = errors.New("not found")

	// ErrLeaseLost is returned by writes to a deployment that somebody else works on by now.
	ErrLeaseLost = errors.New("lease lost")
)

// DB is an open database.
type DB struct {
	bun    *bun.DB
	keys   *Keyring
	topics *topics
}

// Open opens "sqlite:///path/to/file" or "postgres://user:password@host/name". It does not migrate. The errors of a
// wrong address name no password.
func Open(ctx context.Context, address string, keys *Keyring) (*DB, error) {
	scheme, rest, _ := strings.Cut(address, "://")
	switch scheme {
	case "sqlite":
		return openSQLite(ctx, rest, keys)
	case "postgres", "postgresql":
		return openPostgres(ctx, address, keys)
	}
	return nil, errors.New("open database: the address must begin with sqlite:// or postgres://")
}

func openSQLite(ctx context.Context, path string, keys *Keyring) (*DB, error) {
	pragmas := url.Values{
		"_txlock": {"immediate"}, // a transaction that reads first and then writes would fail at once, whatever the busy time-out
		"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"},
	}
	pool, err := sql.Open("sqlite", "file:"+path+"?"+pragmas.Encode())
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	pool.SetMaxOpenConns(8)
	return ready(ctx, bun.NewDB(pool, sqlitedialect.New()), keys)
}

func openPostgres(ctx context.Context, address string, keys *Keyring) (*DB, error) {
	if _, err := url.Parse(address); err != nil {
		return nil, errors.New("open database: the address is not a URL; a password with special characters must be percent-encoded")
	}
	pool := sql.OpenDB(pgdriver.NewConnector(pgdriver.WithDSN(address), pgdriver.WithApplicationName("tinyforge")))
	pool.SetMaxOpenConns(16)
	pool.SetMaxIdleConns(16)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return ready(ctx, bun.NewDB(pool, pgdialect.New()), keys)
}

func ready(ctx context.Context, b *bun.DB, keys *Keyring) (*DB, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if err := b.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), b.Close())
	}
	return &DB{bun: b, keys: keys, topics: newTopics()}, nil
}

// Ping tells whether the database answers.
func (d *DB) Ping(ctx context.Context) error { return d.bun.PingContext(ctx) }

// Close releases the connections. Subscriptions end.
func (d *DB) Close() error { return d.bun.Close() }

func (d *DB) postgres() bool { return d.bun.Dialect().Name() == dialect.PG }

// forUpdate locks the selected rows until the transaction ends. On SQLite the transaction is exclusive already.
func (d *DB) forUpdate(q *bun.SelectQuery) *bun.SelectQuery {
	if d.postgres() {
		return q.For("UPDATE")
	}
	return q
}

func (d *DB) tx(ctx context.Context, f func(ctx context.Context, tx bun.Tx) error) error {
	return d.bun.RunInTx(ctx, nil, f)
}

// now is the time as both databases keep it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// found turns the driver's empty result into ErrNotFound.
func found(what string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func isNotFound(err error) bool { return errors.Is(err, ErrNotFound) }

// affected tells whether a statement changed a row.
func affected(r sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// uniqueViolation tells whether err is the refusal of a second row where there may be one.
func uniqueViolation(err error) bool {
	var pg pgdriver.Error
	if errors.As(err, &pg) {
		return pg.Field('C') == "23505"
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE
}
