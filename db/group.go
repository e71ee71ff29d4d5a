package db

import (
	"context"
	"errors"

	"github.com/uptrace/bun"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// groupMost is how many transactions share a commit.
const groupMost = 64

// group lets transactions that wait for each other share one commit, which on SQLite is most of what a small one costs. Each is a
// savepoint within the transaction of whoever's turn it is: one that fails undoes nothing of the others. A transaction must not run
// another.
type group = crowd[transaction]

type transaction func(ctx context.Context, tx bun.Tx) error

// share returns when f is committed, or with its error when it is undone. f may be called twice.
func (d *DB) share(ctx context.Context, f transaction) error {
	return d.group.join(ctx, f, func(ctx context.Context) error { return d.bun.RunInTx(ctx, nil, f) }, d.commitTogether)
}

// commitTogether heeds nobody's context once it has begun: SQLite, interrupted, undoes the whole of a transaction.
func (d *DB) commitTogether(members []*member[transaction]) error {
	return d.bun.RunInTx(context.Background(), nil, func(ctx context.Context, tx bun.Tx) error {
		for _, m := range members {
			if m.err = m.ctx.Err(); m.err != nil {
				continue
			}
			if m.err = tx.RunInTx(ctx, nil, m.what); broke(m.err) {
				return m.err
			}
		}
		return nil
	})
}

// broke tells whether SQLite may have undone the whole transaction: after any error of its own but the refusal of a row.
func broke(err error) bool {
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code()&0xff != sqlite3.SQLITE_CONSTRAINT
}
