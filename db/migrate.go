package db

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/uptrace/bun/migrate"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// columnTypes are the words in which the two databases differ; everything else in the migrations is one text for both.
type columnTypes struct{ ID, Bytes, JSON, Time string }

// Migrate brings the schema up to date and returns the names of what it applied. Several processes may call it at once:
// on PostgreSQL an advisory lock keeps them apart, on SQLite the transaction does.
func (d *DB) Migrate(ctx context.Context) ([]string, error) {
	migrator, err := d.migrator()
	if err != nil {
		return nil, err
	}
	unlock, err := d.lockMigrations(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()

	if err := migrator.Init(ctx); err != nil {
		return nil, fmt.Errorf("prepare migrations: %w", err)
	}
	group, err := migrator.Migrate(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrate database: %w", err)
	}
	var names []string
	for _, m := range group.Migrations {
		names = append(names, m.Name+"_"+m.Comment)
	}
	return names, nil
}

// Migrated tells whether the schema is up to date.
func (d *DB) Migrated(ctx context.Context) (bool, error) {
	migrator, err := d.migrator()
	if err != nil {
		return false, err
	}
	list, err := migrator.MigrationsWithStatus(ctx)
	if err != nil {
		return false, fmt.Errorf("read migrations: %w", err)
	}
	return len(list.Unapplied()) == 0, nil
}

func (d *DB) migrator() (*migrate.Migrator, error) {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	migrations := migrate.NewMigrations()
	if err := migrations.Discover(files); err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	types := columnTypes{ID: "INTEGER PRIMARY KEY AUTOINCREMENT", Bytes: "BLOB", JSON: "TEXT", Time: "TIMESTAMP"}
	if d.postgres() {
		types = columnTypes{ID: "BIGSERIAL PRIMARY KEY", Bytes: "BYTEA", JSON: "JSONB", Time: "TIMESTAMPTZ"}
	}
	return migrate.NewMigrator(d.bun, migrations, migrate.WithMarkAppliedOnSuccess(true), migrate.WithTemplateData(types)), nil
}

// migrationLock is the advisory lock's key: "tinyfrge" read as a number.
const migrationLock = 0x74696e7966726765

func (d *DB) lockMigrations(ctx context.Context) (unlock func(), err error) {
	if !d.postgres() {
		return func() {}, nil
	}
	conn, err := d.bun.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("lock migrations: %w", err)
	}
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock(?)", int64(migrationLock)); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("lock migrations: %w", err)
	}
	return func() {
		// closing alone would put the connection back into the pool with the lock still held
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(?)", int64(migrationLock))
		_ = conn.Close()
	}, nil
}
