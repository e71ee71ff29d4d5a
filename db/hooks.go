package db

import (
	"context"

	"github.com/uptrace/bun"
)

// SetHookURL records the address of the webhook that we registered on a repository; "" records that there is none.
func (d *DB) SetHookURL(ctx context.Context, repositoryID int64, url string) error {
	_, err := d.bun.NewUpdate().Model((*Repository)(nil)).Set("hook_url = ?, updated_at = ?", url, now()).
		Where("id = ?", repositoryID).Exec(ctx)
	return found("save webhook address", err)
}

// HookedRepositories returns the repositories of a forge that workloads use, and those that none uses any more although we
// registered a webhook there. Of the used ones it leaves out what the forge does not let us see.
func (d *DB) HookedRepositories(ctx context.Context, forgeID int64) (used, left []Repository, err error) {
	users := d.bun.NewSelect().Model((*Workload)(nil)).Column("repository_id").Where("deleted_at IS NULL")
	read := func(into *[]Repository, where string) error {
		return d.bun.NewSelect().Model(into).Where("forge_id = ?", forgeID).Where(where, users).Order("id").Scan(ctx)
	}
	if err = read(&used, "id IN (?) AND NOT removed"); err == nil {
		err = read(&left, "id NOT IN (?) AND hook_url <> ''")
	}
	return used, left, found("read repositories with webhooks", err)
}

// WorkloadsOn returns the workloads of all repositories of a forge that are not deleted, by name.
func (d *DB) WorkloadsOn(ctx context.Context, forgeID int64) ([]Workload, error) {
	theirs := d.bun.NewSelect().Model((*Repository)(nil)).Column("id").Where("forge_id = ?", forgeID)
	return d.workloads(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("repository_id IN (?) AND deleted_at IS NULL", theirs).Order("name")
	})
}
