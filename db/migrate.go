package db

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/migrate"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// columnTypes are the words in which the two databases differ; everything else in the migrations is one text for both.
type columnTypes struct{ ID, Bytes, JSON, Time string }

// Migrate brings the schema up to date and returns the names of what it applied. Several processes may call it at once:
// each migration is applied by one of them. A process that is killed leaves each migration applied wholly or not at all.
func (d *DB) Migrate(ctx context.Context) (names []string, err error) {
	migrator, err := d.migrator()
	if err != nil {
		return nil, err
	}
	return d.migrate(ctx, migrator)
}

func (d *DB) migrate(ctx context.Context, migrator *migrate.Migrator) (names []string, err error) {
	unlock, err := d.lockMigrations(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()

	if err := migrator.Init(ctx); err != nil {
		return nil, fmt.Errorf("prepare migrations: %w", err)
	}
	for {
		group, err := migrator.Migrate(ctx)
		done := group.Migrations
		if err != nil && len(done) > 0 {
			done = done[:len(done)-1] // the last is the one that failed
		}
		for _, m := range done {
			names = append(names, m.String())
		}
		if err == nil {
			return names, nil
		}
		if !errors.Is(err, errApplied) {
			return names, fmt.Errorf("migrate database: %w", err)
		}
	}
}

// Migrated tells whether the schema is up to date.
func (d *DB) Migrated(ctx context.Context) (bool, error) {
	migrator, err := d.migrator()
	if err != nil {
		return false, err
	}
	begun, err := d.hasTable(ctx, migrationTable)
	if err != nil || !begun {
		return false, err
	}
	list, err := migrator.MigrationsWithStatus(ctx)
	if err != nil {
		return false, fmt.Errorf("read migrations: %w", err)
	}
	return len(list.Unapplied()) == 0, nil
}

func (d *DB) hasTable(ctx context.Context, name string) (bool, error) {
	tables := d.bun.NewSelect().TableExpr("sqlite_master").Where("name = ?", name)
	if d.postgres() {
		tables = d.bun.NewSelect().TableExpr("(SELECT to_regclass(?) AS oid) AS t", name).Where("oid IS NOT NULL")
	}
	has, err := tables.Exists(ctx)
	return has, found("look for table", err)
}

// LastMigration is the name of the newest migration that was applied.
func (d *DB) LastMigration(ctx context.Context) (name string, err error) {
	err = d.bun.NewSelect().TableExpr("?", bun.Ident(migrationTable)).Column("name").Order("name DESC").Limit(1).Scan(ctx, &name)
	return name, found("read migrations", err)
}

// migrationTable holds a row for each migration that was applied.
const migrationTable = "migrations"

func (d *DB) migrator() (*migrate.Migrator, error) {
	migrations, err := allMigrations()
	if err != nil {
		return nil, err
	}
	return d.migratorOf(migrations), nil
}

// migratorTo knows the migrations with these names alone, which must be the first ones of all.
func (d *DB) migratorTo(names []string) (*migrate.Migrator, error) {
	all, err := allMigrations()
	if err != nil {
		return nil, err
	}
	some := migrate.NewMigrations()
	for i, m := range all.Sorted() {
		if i < len(names) && m.Name == names[i] {
			some.Add(m)
		}
	}
	if len(some.Sorted()) != len(names) {
		return nil, ErrNewer
	}
	return d.migratorOf(some), nil
}

func allMigrations() (*migrate.Migrations, error) {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	migrations := migrate.NewMigrations()
	if err := migrations.Discover(files); err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return migrations, nil
}

func (d *DB) migratorOf(migrations *migrate.Migrations) *migrate.Migrator {
	types := columnTypes{ID: "INTEGER PRIMARY KEY AUTOINCREMENT", Bytes: "BLOB", JSON: "TEXT", Time: "TIMESTAMP"}
	if d.postgres() {
		types = columnTypes{ID: "BIGSERIAL PRIMARY KEY", Bytes: "BYTEA", JSON: "JSONB", Time: "TIMESTAMPTZ"}
	}
	return migrate.NewMigrator(d.bun, migrations, migrate.WithTableName(migrationTable),
		migrate.WithLocksTableName("migration_locks"), migrate.WithTemplateData(types),
		migrate.WithMarkAppliedOnSuccess(true), migrate.WithUpsert(true), // it marks a second time what markApplied marked
		migrate.BeforeMigration(refuseApplied), migrate.AfterMigration(markApplied))
}

// errApplied means that somebody else was faster.
var errApplied = errors.New("applied already")

// refuseApplied is called at the beginning of a migration's transaction, which on SQLite is exclusive.
func refuseApplied(ctx context.Context, tx bun.IConn, m *migrate.Migration) error {
	err := tx.QueryRowContext(ctx, "SELECT name FROM "+migrationTable+" WHERE name = ?", m.Name).Scan(new(string))
	switch {
	case err == nil:
		return errApplied
	case errors.Is(err, sql.ErrNoRows):
		return nil
	}
	return err
}

// markApplied is called at the end of a migration's transaction.
func markApplied(ctx context.Context, tx bun.IConn, m *migrate.Migration) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO "+migrationTable+" (name, group_id) VALUES (?, ?)", m.Name, m.GroupID)
	return err
}

// migrationLock is the advisory lock's key: "tinyfrge" read as a number.
const migrationLock = 0x74696e7966726765

// lockMigrations keeps other processes from migrating, on PostgreSQL. It waits as long as ctx allows.
func (d *DB) lockMigrations(ctx context.Context) (unlock func(), err error) {
	if !d.postgres() {
		return func() {}, nil
	}
	conn, err := d.bun.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("lock migrations: %w", err)
	}
	if err := tryLock(ctx, conn); err != nil {
		return nil, errors.Join(fmt.Errorf("lock migrations: %w", err), conn.Close())
	}
	return func() {
		// closing alone would put the connection back into the pool with the lock still held
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(?)", int64(migrationLock))
		_ = conn.Close()
	}, nil
}

// tryLock asks again and again, since the driver gives a statement up that is not answered within seconds.
func tryLock(ctx context.Context, conn bun.Conn) error {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		var locked bool
		err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock(?)", int64(migrationLock)).Scan(&locked)
		if err != nil || locked {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		}
	}
}
