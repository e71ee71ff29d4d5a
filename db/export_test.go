package db

import (
	"context"

	"github.com/uptrace/bun"
)

// Bun gives the tests the rows as they are stored.
func (d *DB) Bun() *bun.DB { return d.bun }

// Tx is d's transaction.
func (d *DB) Tx(ctx context.Context, f func(ctx context.Context, tx bun.Tx) error) error {
	return d.tx(ctx, f)
}

// Waiting is how many transactions wait for the turn of another.
func (d *DB) Waiting() int {
	d.group.mu.Lock()
	defer d.group.mu.Unlock()
	return len(d.group.waiting)
}

// Arriving is how many deliveries wait to be recorded together.
func (d *DB) Arriving() int {
	d.intake.mu.Lock()
	defer d.intake.mu.Unlock()
	return len(d.intake.waiting)
}

// Spied is d with a hook that sees its statements.
func (d *DB) Spied(hook bun.QueryHook) *DB {
	spied := *d
	spied.bun = d.bun.WithQueryHook(hook)
	return &spied
}

// Seal seals v as the rows hold it.
func (k *Keyring) Seal(v any, purpose string) ([]byte, error) { return k.seal(v, purpose) }

// ApplyMigrations applies the first n migrations like a process that is killed when the last transaction has ended.
func (d *DB) ApplyMigrations(ctx context.Context, n int) error {
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
	for i := range n {
		if err := list[i].Up(ctx, m, &list[i]); err != nil {
			return err
		}
	}
	return nil
}

// SealedTables are those whose values Reseal seals anew.
func SealedTables() (names []string) {
	for _, c := range sealedColumns {
		names = append(names, c.table)
	}
	return names
}
