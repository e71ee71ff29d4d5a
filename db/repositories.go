package db

import (
	"context"
	"time"

	"github.com/uptrace/bun"
)

// Repository is known by the forge's id of it; its name may change.
type Repository struct {
	ID              int64 `bun:",pk,autoincrement"`
	ForgeID         int64
	InstallationID  int64 `bun:",nullzero"` // 0 where the forge has no installations
	ExternalID      int64 // the forge's id; unique by forge
	FullName        string
	DefaultBranch   string
	Private         bool
	HookURL         string // of the webhook that we registered on it; "" means none
	HookFingerprint string // of the secret that it signs with (see HookFingerprint); "" means that nobody knows
	Removed         bool   // the forge no longer lets us see it; it comes back by being seen again
	CreatedAt       time.Time
	UpdatedAt       time.Time
}

// SaveRepository inserts the repository, or changes the one with the same external id. It fills in ID.
func (d *DB) SaveRepository(ctx context.Context, r *Repository) error {
	return saveRepository(ctx, d.bun, r)
}

func saveRepository(ctx context.Context, db bun.IDB, r *Repository) error {
	r.CreatedAt, r.UpdatedAt = now(), now()
	err := db.NewInsert().Model(r).
		On("CONFLICT (forge_id, external_id) DO UPDATE").
		Set("installation_id = COALESCE(EXCLUDED.installation_id, repository.installation_id)").
		Set("full_name = EXCLUDED.full_name, private = EXCLUDED.private, removed = EXCLUDED.removed").
		// an installation event does not name the default branch
		Set("default_branch = CASE WHEN EXCLUDED.default_branch = '' THEN repository.default_branch ELSE EXCLUDED.default_branch END").
		Set("updated_at = EXCLUDED.updated_at").
		Returning("*").
		Scan(ctx)
	return found("save repository", err)
}

// Repository returns the repository with this id, or ErrNotFound.
func (d *DB) Repository(ctx context.Context, id int64) (Repository, error) {
	return d.repository(ctx, "id = ?", id)
}

// RepositoriesOfWorkloads returns those that a workload follows, by their ID.
func (d *DB) RepositoriesOfWorkloads(ctx context.Context) (map[int64]Repository, error) {
	var list []Repository
	used := d.bun.NewSelect().Model((*Workload)(nil)).Column("repository_id")
	if err := d.bun.NewSelect().Model(&list).Where("id IN (?)", used).Scan(ctx); err != nil {
		return nil, found("read repositories", err)
	}
	all := make(map[int64]Repository, len(list))
	for _, r := range list {
		all[r.ID] = r
	}
	return all, nil
}

// RepositoryByExternalID returns the one that the forge knows by this id, or ErrNotFound.
func (d *DB) RepositoryByExternalID(ctx context.Context, forgeID, externalID int64) (Repository, error) {
	return d.repository(ctx, "forge_id = ? AND external_id = ?", forgeID, externalID)
}

// RepositoryByName returns the one with this full name, whatever its case, or ErrNotFound.
func (d *DB) RepositoryByName(ctx context.Context, forgeID int64, fullName string) (Repository, error) {
	return d.repository(ctx, "forge_id = ? AND lower(full_name) = lower(?) AND NOT removed", forgeID, fullName)
}

func (d *DB) repository(ctx context.Context, where string, args ...any) (Repository, error) {
	var r Repository
	err := d.bun.NewSelect().Model(&r).Where(where, args...).OrderExpr("id DESC").Limit(1).Scan(ctx)
	return r, found("read repository", err)
}
