package db

import (
	"context"
	"time"

	"github.com/uptrace/bun"
)

// Installation is a GitHub App installed on an account.
type Installation struct {
	ID         int64 `bun:",pk,autoincrement"`
	ForgeID    int64
	ExternalID int64  // the forge's id of it; unique by forge
	Account    string // user or organisation
	Suspended  bool
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// SaveInstallation inserts the installation, or changes the one with the same external id. It fills in ID. Commit statuses that
// were refused while it was suspended are due again when it no longer is.
func (d *DB) SaveInstallation(ctx context.Context, i *Installation) error {
	return saveInstallation(ctx, d.bun, i)
}

func saveInstallation(ctx context.Context, db bun.IDB, i *Installation) error {
	back, err := db.NewSelect().Model((*Installation)(nil)).
		Where("forge_id = ? AND external_id = ? AND suspended", i.ForgeID, i.ExternalID).Exists(ctx)
	if err != nil {
		return found("read installation", err)
	}
	i.CreatedAt, i.UpdatedAt = now(), now()
	err = db.NewInsert().Model(i).
		On("CONFLICT (forge_id, external_id) DO UPDATE").
		Set("account = EXCLUDED.account, suspended = EXCLUDED.suspended, updated_at = EXCLUDED.updated_at").
		Returning("id, created_at").
		Scan(ctx)
	if err != nil || i.Suspended || !back {
		return found("save installation", err)
	}
	return reviveReports(ctx, db, db.NewSelect().Model((*Repository)(nil)).Column("id").Where("installation_id = ?", i.ID))
}

// Installation returns the installation with this id, or ErrNotFound.
func (d *DB) Installation(ctx context.Context, id int64) (Installation, error) {
	var i Installation
	err := d.bun.NewSelect().Model(&i).Where("id = ?", id).Scan(ctx)
	return i, found("read installation", err)
}

// InstallationChange is one step in which the forge lets us see more or less.
type InstallationChange struct {
	Installation Installation
	Deleted      bool // uninstalled: all its repositories are gone
	Added        []Repository
	Removed      []int64 // external ids of repositories
}

// ApplyInstallationChange records what changed, in one transaction. Repositories are never deleted, since workloads may
// use them: they are marked as removed.
func (d *DB) ApplyInstallationChange(ctx context.Context, c InstallationChange) error {
	return d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		return applyInstallationChange(ctx, tx, c)
	})
}

func applyInstallationChange(ctx context.Context, tx bun.Tx, c InstallationChange) error {
	if err := saveInstallation(ctx, tx, &c.Installation); err != nil {
		return err
	}
	for _, r := range c.Added {
		r.ForgeID, r.InstallationID = c.Installation.ForgeID, c.Installation.ID
		if err := saveRepository(ctx, tx, &r); err != nil {
			return err
		}
	}
	if len(c.Added) > 0 {
		if err := reviveReports(ctx, tx, tx.NewSelect().Model((*Repository)(nil)).Column("id").
			Where("installation_id = ? AND external_id IN (?)", c.Installation.ID, bun.List(externalIDs(c.Added)))); err != nil {
			return err
		}
	}
	if len(c.Removed) == 0 && !c.Deleted {
		return nil
	}
	q := tx.NewUpdate().Model((*Repository)(nil)).Set("removed = ?, updated_at = ?", true, now()).
		Where("forge_id = ? AND installation_id = ?", c.Installation.ForgeID, c.Installation.ID)
	if !c.Deleted {
		q = q.Where("external_id IN (?)", bun.List(c.Removed))
	}
	if _, err := q.Exec(ctx); err != nil {
		return found("mark removed repositories", err)
	}
	return nil
}

func externalIDs(list []Repository) (ids []int64) {
	for _, r := range list {
		ids = append(ids, r.ExternalID)
	}
	return ids
}
