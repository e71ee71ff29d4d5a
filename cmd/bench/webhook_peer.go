package main

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-github/v62/github"
	"github.com/uptrace/bun/driver/pgdriver"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// rows is a table with a row for each delivery.
type rows struct {
	db     *sql.DB
	insert string
}

// serveVerifier answers a delivery 202 when its signature verifies and, where there is a database, when its row is committed.
func serveVerifier(ctx context.Context, address, secret, database string) error {
	keep := func(context.Context, string, string, []byte) error { return nil }
	if database != "" {
		rows, err := newRows(ctx, database)
		if err != nil {
			return err
		}
		keep = rows.add
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	handler := func(w http.ResponseWriter, r *http.Request) {
		body, err := github.ValidatePayload(r, []byte(secret))
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		if err := keep(r.Context(), github.DeliveryID(r), github.WebHookType(r), body); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}
	server := &http.Server{Handler: http.HandlerFunc(handler), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }()
	return nil
}

// openDatabase opens what a "sqlite://" or "postgres://" address names. SQLite has one connection, since it has one writer: with
// more of them they would wait for each other by sleeping.
func openDatabase(address string) (*sql.DB, error) {
	path, isSQLite := strings.CutPrefix(address, "sqlite://")
	if !isSQLite {
		db := sql.OpenDB(pgdriver.NewConnector(pgdriver.WithDSN(address)))
		db.SetMaxOpenConns(16)
		db.SetMaxIdleConns(16)
		return db, nil
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

func newRows(ctx context.Context, address string) (*rows, error) {
	db, err := openDatabase(address)
	if err != nil {
		return nil, err
	}
	table := `CREATE TABLE deliveries (id INTEGER PRIMARY KEY, external_id TEXT NOT NULL UNIQUE, event TEXT NOT NULL, body BLOB NOT NULL, received_at TIMESTAMP NOT NULL)`
	r := &rows{db: db, insert: "INSERT INTO deliveries (external_id, event, body, received_at) VALUES (?, ?, ?, ?)"}
	if strings.HasPrefix(address, "postgres") {
		table = `CREATE TABLE deliveries (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, external_id TEXT NOT NULL UNIQUE, event TEXT NOT NULL, body BYTEA NOT NULL, received_at TIMESTAMPTZ NOT NULL)`
		r.insert = "INSERT INTO deliveries (external_id, event, body, received_at) VALUES ($1, $2, $3, $4)"
	}
	if _, err := db.ExecContext(ctx, table); err != nil {
		return nil, fmt.Errorf("make table: %w", err)
	}
	return r, nil
}

// add inserts a row and commits it.
func (r *rows) add(ctx context.Context, id, event string, body []byte) error {
	_, err := r.db.ExecContext(ctx, r.insert, id, event, body, time.Now().UTC())
	return err
}
