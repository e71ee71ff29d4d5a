package db

import (
	"context"

	"github.com/uptrace/bun"
)

// Bun gives the tests the rows as they are stored.
func (d *DB) Bun() *bun.DB { return d.bun }

// Spied is d with a hook that sees its statements.
func (d *DB) Spied(hook bun.QueryHook) *DB {
	spied := *d
	spied.bun = d.bun.WithQueryHook(hook)
	return &spied
}

// ApplyFirstMigration applies the first migration like a process that is killed when its transaction has ended.
func (d *DB) ApplyFirstMigration(ctx context.Context) error {
	m, err := d.migrator()
	if err != nil {
		return err
	}
	if err := m.Init(ctx); err != nil {
		return err
	}
	list, err := m.MigrationsWithStatus(ctx)
	if err != nil {
		return err
	}
	return list[0].Up(ctx, m, &list[0])
}
