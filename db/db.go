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
	"path/filepath"
	"strings"
	"sync/atomic"
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
	group  *group // of SQLite; PostgreSQL has its own
	intake *intake
	keys   *Keyring
	topics *topics

	derived *atomic.Pointer[[]byte] // what Derive is made of; nil means the keyring
	atClose []func()
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
	if path == "" || path == ":memory:" {
		return nil, errors.New("open database: the address names no file; write sqlite:///path/to/tinyforge.db")
	}
	options := url.Values{
		"_txlock":   {"immediate"}, // a transaction that reads first and then writes would fail at once, whatever the busy time-out
		"_pragma":   {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"},
		"_timezone": {"UTC"},
	}
	file := url.URL{Path: filepath.Clean(path)}
	pool, err := sql.Open("sqlite", "file:"+file.EscapedPath()+"?"+options.Encode())
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	pool.SetMaxOpenConns(8)
	pool.SetMaxIdleConns(8) // opening one takes longer than most queries
	pool.SetConnMaxIdleTime(5 * time.Second)
	return ready(ctx, bun.NewDB(pool, sqlitedialect.New()), keys)
}

func openPostgres(ctx context.Context, address string, keys *Keyring) (*DB, error) {
	connector, err := postgresConnector(address)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(16)
	pool.SetMaxIdleConns(16)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	d, err := ready(ctx, bun.NewDB(pool, pgdialect.New()), keys)
	if err != nil && strings.Contains(err.Error(), "SSL is not enabled on the server") { // the driver has no other sign
		return nil, fmt.Errorf("%w: this PostgreSQL has no TLS: add ?sslmode=disable to its address if nobody can be in between", err)
	}
	return d, err
}

// applicationName is by which PostgreSQL knows us.
const applicationName = "tinyforge"

func postgresConnector(address string) (c *pgdriver.Connector, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Fragment != "" || strings.Contains(u.Path+u.RawQuery, "@") {
		return nil, errors.New("the address is not a URL such as postgres://user:password@host/name; " +
			"a password with special characters must be percent-encoded")
	}
	query := u.Query()
	query.Set("TimeZone", "UTC") // a parameter of the session
	u.RawQuery = query.Encode()
	defer func() {
		if wrong := recover(); wrong != nil { // the driver's way of refusing an option
			err = fmt.Errorf("wrong option in the address: %v", wrong)
		}
	}()
	return pgdriver.NewConnector(pgdriver.WithDSN(u.String()), pgdriver.WithApplicationName(applicationName)), nil
}

func ready(ctx context.Context, b *bun.DB, keys *Keyring) (*DB, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if err := connect(ctx, b); err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), b.Close())
	}
	d := &DB{bun: b, keys: keys, intake: newCrowd[*arrival](intakeMost), topics: newTopics(), derived: new(atomic.Pointer[[]byte])}
	if !d.postgres() {
		d.group = newCrowd[transaction](groupMost)
	}
	return d, nil
}

// connect makes the first connection. On SQLite it turns the file to WAL, for which SQLite does not wait while another
// process writes, whatever the busy time-out.
func connect(ctx context.Context, b *bun.DB) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	var held error
	for {
		err := b.PingContext(ctx)
		if held != nil && ctx.Err() != nil && err != nil { // the time may be over while it is asked
			return fmt.Errorf("%w: another process does not let go of it", held)
		}
		if !busy(err) {
			return err
		}
		held = err
		select {
		case <-ctx.Done():
		case <-again.C:
		}
	}
}

// Ping tells whether the database answers.
func (d *DB) Ping(ctx context.Context) error { return d.bun.PingContext(ctx) }

// AtClose makes Close call f too. It is to be called before the DB is used.
func (d *DB) AtClose(f func()) { d.atClose = append(d.atClose, f) }

// Close releases the connections. Subscriptions end.
func (d *DB) Close() error {
	err := d.bun.Close()
	for _, f := range d.atClose {
		f()
	}
	d.atClose = nil
	return err
}

func (d *DB) postgres() bool { return d.bun.Dialect().Name() == dialect.PG }

// forUpdate locks the selected rows until the transaction ends, against all but new rows that refer to them. On SQLite
// the transaction is exclusive already.
func (d *DB) forUpdate(q *bun.SelectQuery) *bun.SelectQuery {
	if d.postgres() {
		return q.For("NO KEY UPDATE")
	}
	return q
}

// tx runs f in a transaction, and once more when PostgreSQL ended it to resolve a deadlock, or when on SQLite another one that
// was to share its commit broke: f must be repeatable.
func (d *DB) tx(ctx context.Context, f func(ctx context.Context, tx bun.Tx) error) error {
	if d.group != nil {
		return d.share(ctx, f)
	}
	err := d.bun.RunInTx(ctx, nil, f)
	for range 2 {
		if !deadlock(err) {
			break
		}
		err = d.bun.RunInTx(ctx, nil, f)
	}
	return err
}

// now is the time as both databases keep it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// found turns the driver's empty result into ErrNotFound, and no answer into ErrAway.
func found(what string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, away(err))
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

// deadlock tells whether the database chose this transaction to be the one that yields.
func deadlock(err error) bool {
	var pg pgdriver.Error
	return errors.As(err, &pg) && pg.Field('C') == "40P01"
}

// busy tells whether SQLite gave up because another connection has a lock.
func busy(err error) bool {
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code()&0xff == sqlite3.SQLITE_BUSY // whatever the extended code
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

// foreignKeyViolation tells whether err is the refusal to delete a row that another one needs.
func foreignKeyViolation(err error) bool {
	var pg pgdriver.Error
	if errors.As(err, &pg) {
		return pg.Field('C') == "23503"
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code() == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
}
