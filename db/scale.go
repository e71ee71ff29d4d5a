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
		if err := d.lockWorkload(ctx, tx, workloadID); err != nil {
			return err
		}
		err := tx.NewUpdate().Model(&dep).Set("scales = ?", true).Where("workload_id = ? AND phase = ?", workloadID, PhaseQueued).
			Returning("?Columns").Scan(ctx)
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
		Message: live.Message, Author: live.Author, Cause: CauseScale, Scales: true}, err
}

// queueOwedScale queues the scaling that a deployment took along which did not go live; one that waits takes it along instead. It tells
// whether it queued one. A scaling itself that did not go live is not repeated. Of the number nothing is known yet: what is in progress
// may change it, or be of an older config.
func (d *DB) queueOwedScale(ctx context.Context, tx bun.Tx, deploymentID int64) (bool, error) {
	var workloadID int64
	err := tx.NewSelect().Model((*Deployment)(nil)).Column("workload_id").
		Where("id = ? AND scales AND cause <> ?", deploymentID, CauseScale).Scan(ctx, &workloadID)
	if err != nil {
		return false, ignoreNone(err)
	}
	var live RuntimeState
	err = tx.NewSelect().Model(&live).Where("workload_id = ? AND runtime <> ?", workloadID, RuntimeDocker).Scan(ctx)
	if err == nil {
		err = d.keys.open(live.Sealed, &live.Release, sealRelease)
	}
	if err != nil || !live.Release.Scales() {
		return false, ignoreNone(err)
	}
	w := tx.NewSelect().Model((*Workload)(nil)).Column("id").Where("id = ? AND runtime = ? AND deleted_at IS NULL", workloadID, live.Runtime)
	if err := d.forUpdate(w).Scan(ctx, new(int64)); err != nil {
		return false, ignoreNone(err)
	}
	waits, err := affected(tx.NewUpdate().Model((*Deployment)(nil)).Set("scales = ?", true).
		Where("workload_id = ? AND phase = ?", workloadID, PhaseQueued).Exec(ctx))
	if err != nil || waits { // which takes it along
		return false, err
	}
	scale, err := scaleOf(ctx, tx, workloadID)
	if err != nil {
		return false, err
	}
	return true, queue(ctx, tx, &scale)
}

func ignoreNone(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}
