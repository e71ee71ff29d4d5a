package db

import (
	"context"
	"time"

	"github.com/uptrace/bun"
)

// SeenHead is where a branch was when it was seen first, of which no delivery is known.
type SeenHead struct {
	RepositoryID int64  `bun:",pk"`
	Ref          string `bun:",pk"`
	Commit       string `bun:"commit_hash"`
	SeenAt       time.Time
}

// FirstSeen returns where a branch was when it was seen first, which is at commit when it was not seen since. That is kept:
// several callers, and those after a restart, get the same.
func (d *DB) FirstSeen(ctx context.Context, repositoryID int64, ref, commit string, since time.Time) (first string, err error) {
	row := SeenHead{RepositoryID: repositoryID, Ref: clean(ref), Commit: commit, SeenAt: now()}
	err = d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewInsert().Model(&row).On("CONFLICT (repository_id, ref) DO UPDATE").
			Set("commit_hash = EXCLUDED.commit_hash, seen_at = EXCLUDED.seen_at").
			Where("seen_head.seen_at < ?", since.UTC()).Exec(ctx)
		if err != nil {
			return err
		}
		return tx.NewSelect().Model(&row).WherePK().Scan(ctx)
	})
	return row.Commit, found("read first seen head", err)
}
