package db

import (
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"
)

// Record is a part of a dump: the beginning of a table, whose rows follow, or a row. It means the same in both databases, and
// survives JSON.
type Record struct {
	Table   string   `json:"table,omitempty"`
	Columns []string `json:"columns,omitempty"`
	Last    int64    `json:"last,omitempty"` // id that was given last, also to a row that is gone

	Row []any `json:"row,omitempty"` // nil, bool, int64 (or json.Number), string; bytes as base64, times as RFC 3339
}

// Snapshot is the database at one moment. Nobody waits for it, and it waits for nobody.
type Snapshot struct {
	Migrations []string // names of those that were applied, in order
	Instance   string   // see InstanceID
	Check      string   // what Keyring.Opens takes

	db   *DB
	conn bun.Conn
}

// Snapshot begins one. It has to be closed.
func (d *DB) Snapshot(ctx context.Context) (s *Snapshot, err error) {
	conn, err := d.bun.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("begin snapshot: %w", err)
	}
	s = &Snapshot{db: d, conn: conn}
	begin := "BEGIN DEFERRED" // of its own: our transactions on SQLite would keep writers out
	if d.postgres() {
		begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	}
	_, err = conn.ExecContext(ctx, begin)
	if err == nil {
		err = conn.NewSelect().Table(migrationTable).Column("name").Order("name").Scan(ctx, &s.Migrations)
	}
	for name, to := range map[string]*string{"instance": &s.Instance, "key_check": &s.Check} {
		if err == nil {
			err = conn.NewSelect().Table("settings").Column("value").Where("name = ?", name).Scan(ctx, to)
		}
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("begin snapshot: %w", err)
	}
	return s, nil
}

// Close ends the snapshot.
func (s *Snapshot) Close() {
	_, _ = s.conn.ExecContext(context.Background(), "ROLLBACK")
	_ = s.conn.Close()
}

// Records calls yield for all that there is but the migrations, a table that another refers to before that one.
func (s *Snapshot) Records(ctx context.Context, yield func(Record) error) error {
	tables, err := s.db.tables(ctx, s.conn)
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	for _, t := range tables {
		if err := s.dump(ctx, t, yield); err != nil {
			return fmt.Errorf("dump %s: %w", t.name, err)
		}
	}
	return nil
}

func (s *Snapshot) dump(ctx context.Context, t table, yield func(Record) error) error {
	last, err := s.db.lastID(ctx, s.conn, t)
	if err != nil {
		return err
	}
	begin := Record{Table: t.name, Last: last}
	for _, c := range t.columns {
		begin.Columns = append(begin.Columns, c.name)
	}
	if err := yield(begin); err != nil {
		return err
	}
	rows, err := s.conn.NewSelect().Table(t.name).Column(begin.Columns...).OrderExpr("1").Rows(ctx)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		row, err := t.scan(rows)
		if err != nil {
			return err
		}
		if err := yield(Record{Row: row}); err != nil {
			return err
		}
	}
	return rows.Err()
}

// scan reads a row as a Record has it.
func (t table) scan(rows *sql.Rows) ([]any, error) {
	to := make([]any, len(t.columns))
	for i, c := range t.columns {
		to[i] = kinds[c.kind].scan()
	}
	if err := rows.Scan(to...); err != nil {
		return nil, err
	}
	for i, c := range t.columns {
		to[i] = kinds[c.kind].value(to[i])
	}
	return to, nil
}

// kind is how a value passes between a database and a Record.
type kind struct {
	types []string // of columns, in lower case
	scan  func() any
	value func(scanned any) any
	arg   func(value any) (any, error)
}

var kinds = map[string]kind{
	"int": {
		[]string{"integer", "bigint"}, func() any { return new(sql.NullInt64) },
		func(v any) any { n := v.(*sql.NullInt64); return ifValid(n.Valid, n.Int64) }, argInt,
	},
	"bool": {
		[]string{"boolean"}, func() any { return new(sql.NullBool) },
		func(v any) any { b := v.(*sql.NullBool); return ifValid(b.Valid, b.Bool) }, argOf[bool],
	},
	"text": {
		[]string{"text", "jsonb"}, func() any { return new(sql.NullString) },
		func(v any) any { s := v.(*sql.NullString); return ifValid(s.Valid, s.String) }, argOf[string],
	},
	"bytes": {
		[]string{"blob", "bytea"}, func() any { return new([]byte) },
		func(v any) any { b := *v.(*[]byte); return ifValid(b != nil, base64.StdEncoding.EncodeToString(b)) }, argBytes,
	},
	"time": {
		[]string{"timestamp", "timestamp with time zone"}, func() any { return new(sql.NullTime) },
		func(v any) any {
			t := v.(*sql.NullTime)
			return ifValid(t.Valid, t.Time.UTC().Format(time.RFC3339Nano))
		}, argTime,
	},
}

func kindOf(columnType string) (string, error) {
	for name, k := range kinds {
		if slices.Contains(k.types, columnType) {
			return name, nil
		}
	}
	return "", fmt.Errorf("a column has the type %q, which no dump knows", columnType)
}

func ifValid(valid bool, v any) any {
	if !valid {
		return nil
	}
	return v
}
