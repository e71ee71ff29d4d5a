package db

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// lease is whose turn something is. The table is called after the first that had turns.
type lease struct {
	bun.BaseModel `bun:"table:certificate_locks"`

	Name  string `bun:",pk"`
	Owner string
	Until time.Time // by the database's clock, where it has one
}

func (d *DB) lease(ctx context.Context, name, owner string, length time.Duration) (bool, error) {
	return affected(d.bun.NewInsert().Model(&lease{Name: name, Owner: owner}).ModelTableExpr("certificate_locks AS held").
		Value("until", "?", d.ago(-length)).
		On("CONFLICT (name) DO UPDATE").Set("owner = EXCLUDED.owner, until = EXCLUDED.until").
		Where("held.owner = EXCLUDED.owner OR held.until < ?", d.ago(0)).Exec(ctx))
}

func (d *DB) release(ctx context.Context, name, owner string) error {
	_, err := d.bun.NewDelete().Model((*lease)(nil)).Where("name = ? AND owner = ?", name, owner).Exec(ctx)
	return err
}

// KeepWorkload keeps the deployments of a workload from taking effect before their commit point, in all processes, for some time, or
// renews that. What was found out before may not be true any more: a deployment that is past PhaseBuilding by now does not wait. It tells
// false while another owner keeps it. On SQLite, where there is one process, it does nothing.
func (d *DB) KeepWorkload(ctx context.Context, id int64, owner string, length time.Duration) (bool, error) {
	if !d.postgres() {
		return true, nil
	}
	ok, err := d.lease(ctx, keptName(id), owner, length)
	return ok, found("keep workload", err)
}

// LetWorkload ends what KeepWorkload of this owner began.
func (d *DB) LetWorkload(ctx context.Context, id int64, owner string) error {
	if !d.postgres() {
		return nil
	}
	return found("let workload go", d.release(ctx, keptName(id), owner))
}

// IsKept tells whether somebody keeps a workload.
func (d *DB) IsKept(ctx context.Context, id int64) (bool, error) {
	if !d.postgres() {
		return false, nil
	}
	kept, err := d.bun.NewSelect().Model((*lease)(nil)).Where("name = ? AND until >= ?", keptName(id), d.ago(0)).Exists(ctx)
	return kept, found("look who keeps a workload", err)
}

// keptName is no name of certificates: those have no spaces.
func keptName(id int64) string { return fmt.Sprintf("workload %d", id) }
