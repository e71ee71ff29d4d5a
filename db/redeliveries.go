package db

import (
	"context"
	"errors"
	"time"

	"github.com/uptrace/bun"
)

// Of one delivery, a forge is asked redeliveriesMost times to send it again: after redeliveryPause, and twice as long each time.
const (
	redeliveriesMost  = 8
	redeliveryPause   = time.Minute
	redeliveriesStays = 7 * 24 * time.Hour // longer than any forge remembers its deliveries
)

// Redelivery says what is to be done about a delivery that did not reach us.
type Redelivery int

const (
	RedeliverNow   Redelivery = iota // whoever asks is the one who is to ask the forge
	RedeliverLater                   // the forge was asked a short while ago
	RedeliverNever                   // it is recorded, or the forge was asked often enough
)

type redelivery struct {
	bun.BaseModel `bun:"table:redeliveries"`
	ForgeID       int64  `bun:",pk"`
	ExternalID    string `bun:",pk"`
	Asked         int    // how often
	AgainAt       time.Time
}

// ClaimRedelivery decides about a delivery that the forge could not make. RedeliverNow is given to one caller, also among
// several processes, and is written down before: who dies before it asked the forge is asked again later.
func (d *DB) ClaimRedelivery(ctx context.Context, forgeID int64, externalID string) (Redelivery, error) {
	recorded, err := d.bun.NewSelect().Model((*Delivery)(nil)).
		Where("forge_id = ? AND external_id = ?", forgeID, externalID).Exists(ctx)
	if err != nil || recorded {
		return RedeliverNever, found("read delivery", err)
	}
	var before redelivery
	err = d.bun.NewSelect().Model(&before).Where("forge_id = ? AND external_id = ?", forgeID, externalID).Scan(ctx)
	switch err = found("read redelivery", err); {
	case err != nil && !errors.Is(err, ErrNotFound):
		return RedeliverNever, err
	case before.AgainAt.After(now()):
		return RedeliverLater, nil
	case before.Asked >= redeliveriesMost:
		return RedeliverNever, nil
	}
	next := redelivery{ForgeID: forgeID, ExternalID: externalID, Asked: before.Asked + 1, AgainAt: now().Add(redeliveryPause << before.Asked)}
	first, err := affected(d.bun.NewInsert().Model(&next).On("CONFLICT (forge_id, external_id) DO UPDATE").
		Set("asked = EXCLUDED.asked, again_at = EXCLUDED.again_at").
		Where("redelivery.asked = ?", before.Asked).Exec(ctx))
	if err != nil || !first {
		return RedeliverLater, found("record redelivery", err)
	}
	return RedeliverNow, nil
}

// LookedUntil returns up to when the deliveries of a forge were looked through; the zero time for never.
func (d *DB) LookedUntil(ctx context.Context, forgeID int64) (until time.Time, err error) {
	err = d.bun.NewSelect().Table("delivery_looks").Column("until").Where("forge_id = ?", forgeID).Scan(ctx, &until)
	if err = found("read last look at deliveries", err); isNotFound(err) {
		return time.Time{}, nil
	}
	return until.UTC(), err
}

// SetLookedUntil records up to when the deliveries of a forge need not be looked through again.
func (d *DB) SetLookedUntil(ctx context.Context, forgeID int64, until time.Time) error {
	return d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		values := map[string]any{"forge_id": forgeID, "until": until.UTC()}
		_, err := tx.NewInsert().Model(&values).Table("delivery_looks").
			On("CONFLICT (forge_id) DO UPDATE").Set("until = EXCLUDED.until").Exec(ctx)
		if err != nil {
			return found("record look at deliveries", err)
		}
		_, err = tx.NewDelete().Model((*redelivery)(nil)).
			Where("forge_id = ? AND again_at < ?", forgeID, now().Add(-redeliveriesStays)).Exec(ctx)
		return found("forget redeliveries", err)
	})
}
