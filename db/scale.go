package db

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"
)

// QueueScale queues a deployment that makes what is live run as often as the workload's config says. Where another one waits for its
// turn, that takes the config along, and is returned. It returns ErrNotFound when nothing is live or the workload is deleted.
func (d *DB) QueueScale(ctx context.Context, workloadID int64) (dep Deployment, err error) {
	err = d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		w := tx.NewSelect().Model((*Workload)(nil)).Column("id").Where("id = ? AND deleted_at IS NULL", workloadID)
		if err := d.forUpdate(w).Scan(ctx, new(int64)); err != nil {
			return err
		}
		err := tx.NewSelect().Model(&dep).Where("workload_id = ? AND phase = ?", workloadID, PhaseQueued).OrderExpr("id DESC").Limit(1).Scan(ctx)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		dep, err = scaleOf(ctx, tx, workloadID)
		if err != nil {
			return err
		}
		return queue(ctx, tx, &dep)
	})
	if err != nil {
		return Deployment{}, found("queue scale", err)
	}
	d.notify(ctx, TopicQueued, TopicPhase)
	return dep, nil
}

// scaleOf is a deployment that scales what is live, not queued yet.
func scaleOf(ctx context.Context, tx bun.Tx, workloadID int64) (Deployment, error) {
	var live Deployment
	serving := tx.NewSelect().Model((*RuntimeState)(nil)).Column("deployment_id").Where("workload_id = ?", workloadID)
	err := tx.NewSelect().Model(&live).Where("id = (?)", serving).Scan(ctx)
	return Deployment{WorkloadID: workloadID, RepositoryID: live.RepositoryID, Ref: live.Ref, Commit: live.Commit,
		Message: live.Message, Author: live.Author, Cause: CauseScale}, err
}

// queueOwedScale queues a scaling anew whose place a deployment has taken that ends here without going live, so that nobody would do
// what was asked for. It tells whether it did.
func (d *DB) queueOwedScale(ctx context.Context, tx bun.Tx, dep *Deployment) (bool, error) {
	w := tx.NewSelect().Model((*Workload)(nil)).Column("id").Where("id = ? AND deleted_at IS NULL", dep.WorkloadID)
	if err := d.forUpdate(w).Scan(ctx, new(int64)); err != nil {
		return false, ignoreNone(err)
	}
	done := tx.NewSelect().Model((*Deployment)(nil)).ColumnExpr("COALESCE(max(id), 0)").
		Where("workload_id = ? AND id < ? AND phase <> ?", dep.WorkloadID, dep.ID, PhaseSuperseded)
	owed, err := tx.NewSelect().Model((*Deployment)(nil)).
		Where("workload_id = ? AND id < ? AND id > (?) AND cause = ?", dep.WorkloadID, dep.ID, done, CauseScale).Exists(ctx)
	if err != nil || !owed {
		return false, err
	}
	waits, err := tx.NewSelect().Model((*Deployment)(nil)).Where("workload_id = ? AND phase = ?", dep.WorkloadID, PhaseQueued).Exists(ctx)
	if err != nil || waits { // which takes the config along
		return false, err
	}
	scale, err := scaleOf(ctx, tx, dep.WorkloadID)
	if err != nil {
		return false, ignoreNone(err) // nothing is live
	}
	return true, queue(ctx, tx, &scale)
}

func ignoreNone(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}
