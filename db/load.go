package db

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

const loadBatch = 100 // rows of a statement

var (
	// ErrNewer is returned by Load for a snapshot of a newer Tinyforge.
	ErrNewer = errors.New("it was made by a newer Tinyforge: use that one")

	// ErrNotEmpty is returned by Load for a database in which there is something.
	ErrNotEmpty = errors.New("the database is not empty")
)

// Load fills a database, of either kind, with what a Snapshot had, all or nothing. It brings the schema to where that was,
// loads, and brings it up to date. next returns io.EOF behind the last record.
func (d *DB) Load(ctx context.Context, migrations []string, next func() (Record, error)) error {
	migrator, err := d.migratorTo(migrations)
	if err != nil {
		return err
	}
	if err := d.Empty(ctx); err != nil {
		return err
	}
	if _, err := d.migrate(ctx, migrator); err != nil {
		return err
	}
	tables, err := d.tables(ctx, d.bun)
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	// next cannot be repeated, so the transaction is not either
	err = d.bun.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		l := loader{db: d, tx: tx, tables: tables}
		for {
			r, err := next()
			if errors.Is(err, io.EOF) {
				return l.end(ctx)
			}
			if err == nil {
				err = l.add(ctx, r)
			}
			if err != nil {
				return err
			}
		}
	})
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	_, err = d.Migrate(ctx)
	return err
}

// Empty returns ErrNotEmpty when a table has a row, or is another program's.
func (d *DB) Empty(ctx context.Context) error {
	if err := d.foreign(ctx); err != nil {
		return err
	}
	tables, err := d.tables(ctx, d.bun)
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	for _, t := range tables {
		some, err := d.bun.NewSelect().Table(t.name).Exists(ctx)
		if err != nil {
			return fmt.Errorf("look into %s: %w", t.name, err)
		}
		if some {
			return ErrNotEmpty
		}
	}
	return nil
}

// foreign returns ErrNotEmpty when there are tables where Tinyforge has made none.
func (d *DB) foreign(ctx context.Context) error {
	q := d.bun.NewSelect().TableExpr("sqlite_master").Column("name").Where("type = 'table' AND name NOT LIKE 'sqlite%'")
	if d.postgres() {
		q = d.bun.NewSelect().TableExpr("pg_tables").ColumnExpr("tablename").Where("schemaname = current_schema()")
	}
	var names []string
	if err := q.OrderExpr("1").Scan(ctx, &names); err != nil {
		return found("list tables", err)
	}
	if len(names) == 0 || slices.Contains(names, migrationTable) {
		return nil
	}
	return fmt.Errorf("%w: the table %q is another program's", ErrNotEmpty, names[0])
}

// loader puts records into tables.
type loader struct {
	db     *DB
	tx     bun.Tx
	tables []table

	into    *table // with the columns that the records have
	last    int64
	pending []any // of whole rows
}

func (l *loader) add(ctx context.Context, r Record) error {
	if r.Table != "" {
		return l.begin(ctx, r)
	}
	if l.into == nil || len(r.Row) != len(l.into.columns) {
		return errors.New("a row does not fit its table")
	}
	for i, c := range l.into.columns {
		v := r.Row[i]
		if v != nil {
			var err error
			if v, err = kinds[c.kind].arg(v); err != nil {
				return fmt.Errorf("%s.%s: %w", l.into.name, c.name, err)
			}
		}
		l.pending = append(l.pending, v)
	}
	if len(l.pending) >= loadBatch*len(l.into.columns) {
		return l.flush(ctx)
	}
	return nil
}

func (l *loader) begin(ctx context.Context, r Record) error {
	if err := l.end(ctx); err != nil {
		return err
	}
	i := slices.IndexFunc(l.tables, func(t table) bool { return t.name == r.Table })
	if i < 0 {
		return fmt.Errorf("there is no table %q", r.Table)
	}
	l.into, l.last = &table{name: r.Table, counted: l.tables[i].counted}, r.Last
	for _, name := range r.Columns {
		c := slices.IndexFunc(l.tables[i].columns, func(c column) bool { return c.name == name })
		if c < 0 {
			return fmt.Errorf("the table %s has no column %q", r.Table, name)
		}
		l.into.columns = append(l.into.columns, l.tables[i].columns[c])
	}
	return nil
}

func (l *loader) flush(ctx context.Context) error {
	if len(l.pending) == 0 {
		return nil
	}
	var names []string
	for _, c := range l.into.columns {
		names = append(names, `"`+c.name+`"`)
	}
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", len(names)), ",") + ")"
	rows := strings.TrimSuffix(strings.Repeat(row+",", len(l.pending)/len(names)), ",")
	_, err := l.tx.ExecContext(ctx, `INSERT INTO "`+l.into.name+`" (`+strings.Join(names, ",")+") VALUES "+rows, l.pending...)
	if err != nil {
		return fmt.Errorf("fill %s: %w", l.into.name, err)
	}
	l.pending = l.pending[:0]
	return nil
}

// end finishes a table.
func (l *loader) end(ctx context.Context) error {
	if l.into == nil {
		return nil
	}
	if err := l.flush(ctx); err != nil {
		return err
	}
	if err := l.db.setLastID(ctx, l.tx, *l.into, l.last); err != nil {
		return fmt.Errorf("fill %s: %w", l.into.name, err)
	}
	return nil
}

var errValue = errors.New("a value is not of its column's type")

func argOf[T any](v any) (any, error) {
	if _, ok := v.(T); !ok {
		return nil, errValue
	}
	return v, nil
}

func argInt(v any) (any, error) {
	if n, ok := v.(json.Number); ok {
		return n.Int64()
	}
	return argOf[int64](v)
}

func argBytes(v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, errValue
	}
	return base64.StdEncoding.DecodeString(s)
}

func argTime(v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, errValue
	}
	return time.Parse(time.RFC3339Nano, s)
}
