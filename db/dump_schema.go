package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/uptrace/bun"
)

// table is what a dump has to know of one.
type table struct {
	name    string
	columns []column // but those that are computed
	counted bool     // its id is given by the database
}

type column struct{ name, kind string }

// schemaQueries ask for a row (table, column, type, counted) for each column, and for a row (table, other) for each reference.
var schemaQueries = map[bool]struct{ columns, references string }{
	false: {
		`SELECT m.name, c.name, lower(c.type), c.pk = 1 AND m.sql LIKE '%AUTOINCREMENT%' FROM sqlite_master AS m, pragma_table_xinfo(m.name) AS c
			WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND c.hidden = 0 ORDER BY m.name, c.cid`,
		`SELECT m.name, f."table" FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table'`,
	},
	true: {
		`SELECT c.table_name, c.column_name, c.data_type, coalesce(c.column_default, '') LIKE 'nextval%'
			FROM information_schema.columns AS c JOIN information_schema.tables AS t USING (table_schema, table_name)
			WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' AND c.is_generated = 'NEVER'
			ORDER BY c.table_name, c.ordinal_position`,
		`SELECT a.relname, b.relname FROM pg_constraint AS f JOIN pg_class AS a ON a.oid = f.conrelid JOIN pg_class AS b ON b.oid = f.confrelid
			WHERE f.contype = 'f' AND a.relnamespace = current_schema()::regnamespace`,
	},
}

// tables are all but those of the migrations, each behind those that it refers to.
func (d *DB) tables(ctx context.Context, db bun.IDB) (sorted []table, err error) {
	all, err := d.columns(ctx, db)
	if err != nil {
		return nil, err
	}
	needs := map[string][]string{}
	err = each(ctx, db, schemaQueries[d.postgres()].references, func(rows *sql.Rows) error {
		var from, to string
		err := rows.Scan(&from, &to)
		needs[from] = append(needs[from], to)
		return err
	})
	if err != nil {
		return nil, err
	}
	done := map[string]bool{}
	for len(sorted) < len(all) {
		before := len(sorted)
		for _, t := range all {
			waits := slices.ContainsFunc(needs[t.name], func(other string) bool { return other != t.name && !done[other] })
			if !done[t.name] && !waits {
				sorted, done[t.name] = append(sorted, t), true
			}
		}
		if len(sorted) == before {
			return nil, errors.New("tables refer to each other in a circle")
		}
	}
	return sorted, nil
}

func (d *DB) columns(ctx context.Context, db bun.IDB) (all []table, err error) {
	err = each(ctx, db, schemaQueries[d.postgres()].columns, func(rows *sql.Rows) error {
		var name, columnName, columnType string
		var counted bool
		if err := rows.Scan(&name, &columnName, &columnType, &counted); err != nil {
			return err
		}
		if strings.HasPrefix(name, "migration") {
			return nil
		}
		kind, err := kindOf(columnType)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", name, columnName, err)
		}
		if len(all) == 0 || all[len(all)-1].name != name {
			all = append(all, table{name: name})
		}
		t := &all[len(all)-1]
		t.columns = append(t.columns, column{columnName, kind})
		t.counted = t.counted || counted
		return nil
	})
	return all, err
}

func each(ctx context.Context, db bun.IDB, query string, f func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// lastID is the id that a table gave last, 0 for none.
func (d *DB) lastID(ctx context.Context, db bun.IDB, t table) (last int64, err error) {
	if !t.counted {
		return 0, nil
	}
	query := "SELECT seq FROM sqlite_sequence WHERE name = ?"
	if d.postgres() {
		query = "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence(?, 'id')::regclass), 0)"
	}
	err = db.QueryRowContext(ctx, query, t.name).Scan(&last)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return last, err
}

// setLastID lets a table go on behind an id.
func (d *DB) setLastID(ctx context.Context, tx bun.Tx, t table, last int64) error {
	switch {
	case last == 0 || !t.counted:
		return nil
	case d.postgres():
		return tx.QueryRowContext(ctx, "SELECT setval(pg_get_serial_sequence(?, 'id')::regclass, ?)", t.name, last).Scan(&last)
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM sqlite_sequence WHERE name = ?", t.name); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", t.name, last)
	return err
}
