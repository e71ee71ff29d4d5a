package db

import (
	"context"
	"time"

	"github.com/uptrace/bun"
)

// Listing is all that a forge lets us see, as it was listed.
type Listing struct {
	ForgeID       int64
	Started       time.Time      // before the forge was asked for the first part
	Installations []Installation // of a GitHub App
	Repositories  []ListedRepository
	Partial       bool // the forge did not tell all: what is missing may still be there
}

// ListedRepository is a repository and through which installation it is seen.
type ListedRepository struct {
	Repository
	Installation int64 // its ExternalID; 0 where the forge has none
}

// SaveListing makes the rows say what was listed, in one transaction: repositories that were not listed are marked as removed,
// unless an event told of them since the listing began, and installations that were not are removed. The forge's fault is
// over with it, and so is the waiting for an installation when there is one.
func (d *DB) SaveListing(ctx context.Context, l Listing) error {
	l.Started = l.Started.UTC().Truncate(time.Microsecond)
	err := d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		ids := map[int64]int64{}
		for _, i := range l.Installations {
			i.ForgeID = l.ForgeID
			if err := saveInstallation(ctx, tx, &i); err != nil {
				return err
			}
			ids[i.ExternalID] = i.ID
		}
		for _, r := range l.Repositories {
			row := r.Repository
			row.ForgeID, row.InstallationID, row.Removed = l.ForgeID, ids[r.Installation], false
			if err := saveRepository(ctx, tx, &row); err != nil {
				return err
			}
		}
		if l.Partial {
			return nil
		}
		return forgetUnlisted(ctx, tx, l)
	})
	return found("save listing", err)
}

func forgetUnlisted(ctx context.Context, tx bun.Tx, l Listing) error {
	_, err := tx.NewUpdate().Model((*Repository)(nil)).Set("removed = ?, updated_at = ?", true, now()).
		Where("forge_id = ? AND NOT removed AND updated_at < ?", l.ForgeID, l.Started).Exec(ctx)
	if err != nil {
		return err
	}
	_, err = tx.NewDelete().Model((*Installation)(nil)).Where("forge_id = ? AND updated_at < ?", l.ForgeID, l.Started).Exec(ctx)
	if err != nil {
		return err
	}
	q := tx.NewUpdate().Model((*Forge)(nil)).Set("synced_at = ?, fault = ''", now()).Where("id = ?", l.ForgeID)
	if len(l.Installations) > 0 {
		q = q.Set("requested = ?", false)
	}
	_, err = q.Exec(ctx)
	return err
}

// Installations returns those of a forge, by account.
func (d *DB) Installations(ctx context.Context, forgeID int64) (list []Installation, err error) {
	err = d.bun.NewSelect().Model(&list).Where("forge_id = ?", forgeID).Order("account", "id").Scan(ctx)
	return list, found("read installations", err)
}
