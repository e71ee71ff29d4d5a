package db

import (
	"context"
	"errors"
	"fmt"

	"github.com/uptrace/bun"
)

var (
	// ErrTooLate is returned by Cancel for a deployment that has passed its commit point, is being undone or has ended.
	ErrTooLate = errors.New("it is too late to cancel this deployment")

	// ErrCancelled is returned by Commit for a deployment that was cancelled before.
	ErrCancelled = errors.New("the deployment was cancelled")

	// ErrNoRollback is returned by QueueRollback, wrapped with the reason, for a deployment that cannot serve again.
	ErrNoRollback = errors.New("cannot roll back to this deployment")
)

// cancellable are the phases in which a claimed deployment can still be taken back.
var cancellable = []Phase{PhaseBuilding, PhaseStopping, PhaseStarting, PhaseGating, PhaseRouting, PhaseCommitting}

// QueueRedeploy queues a deployment of the same commit once more: it is built and started anew, also when it is live.
// A queued deployment of the workload is superseded. It returns ErrNotFound when the workload is deleted.
func (d *DB) QueueRedeploy(ctx context.Context, deploymentID int64) (Deployment, error) {
	return d.again(ctx, deploymentID, CauseRedeploy, func(context.Context, bun.Tx, Deployment) error { return nil })
}

// QueueRollback queues a deployment that makes the release of an earlier one serve again, without building it.
func (d *DB) QueueRollback(ctx context.Context, deploymentID int64) (Deployment, error) {
	return d.again(ctx, deploymentID, CauseRollback, func(_ context.Context, _ bun.Tx, old Deployment) error { return old.mayServeAgain() })
}

// QueueRollbackPaused is QueueRollback, and pauses the workload with it: no push takes its place.
func (d *DB) QueueRollbackPaused(ctx context.Context, deploymentID int64) (Deployment, error) {
	dep, err := d.again(ctx, deploymentID, CauseRollback, func(ctx context.Context, tx bun.Tx, old Deployment) error {
		if err := old.mayServeAgain(); err != nil {
			return err
		}
		_, err := tx.NewUpdate().Model((*Workload)(nil)).Set("enabled = ?, updated_at = ?", false, now()).Where("id = ?", old.WorkloadID).Exec(ctx)
		return err
	})
	if err == nil {
		d.notify(ctx, TopicWorkloads)
	}
	return dep, err
}

// mayServeAgain returns ErrNoRollback, with the reason, unless the release may be rolled back to.
func (dep Deployment) mayServeAgain() error {
	switch {
	case dep.Phase == PhaseLive:
		return fmt.Errorf("%w: deployment %d is live", ErrNoRollback, dep.ID)
	case dep.Phase != PhaseRetired || dep.Sealed == nil:
		return fmt.Errorf("%w: deployment %d was never live", ErrNoRollback, dep.ID)
	}
	return nil
}

// QueueCommit queues a deployment of a commit that somebody asks for by hand: it is built and started also when it is live.
// message and author are "" where they are not known. A queued deployment of the workload is superseded. It returns
// ErrNotFound when the workload is deleted.
func (d *DB) QueueCommit(ctx context.Context, workloadID int64, ref, commit, message, author string) (Deployment, error) {
	var dep Deployment
	err := d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		dep = Deployment{WorkloadID: workloadID, Ref: ref, Commit: commit, Message: message, Author: author, Cause: CauseManual}
		dep.clean()
		w := tx.NewSelect().Model((*Workload)(nil)).Column("repository_id").Where("id = ? AND deleted_at IS NULL", workloadID)
		if err := d.forUpdate(w).Scan(ctx, &dep.RepositoryID); err != nil {
			return err
		}
		return queue(ctx, tx, &dep)
	})
	if err != nil {
		return Deployment{}, found("queue commit", err)
	}
	d.notify(ctx, TopicQueued, TopicPhase)
	return dep, nil
}

// again queues a copy of a deployment, if check allows it.
func (d *DB) again(ctx context.Context, deploymentID int64, cause Cause, check func(context.Context, bun.Tx, Deployment) error) (Deployment, error) {
	var dep Deployment
	err := d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		var old Deployment
		if err := tx.NewSelect().Model(&old).Where("id = ?", deploymentID).Scan(ctx); err != nil {
			return err
		}
		if err := d.lockWorkload(ctx, tx, old.WorkloadID); err != nil {
			return err
		}
		// Read again: it may have been retired, or gone live, while the lock was waited for.
		if err := tx.NewSelect().Model(&old).WherePK().Scan(ctx); err != nil {
			return err
		}
		if err := check(ctx, tx, old); err != nil {
			return err
		}
		dep = Deployment{
			WorkloadID: old.WorkloadID, RepositoryID: old.RepositoryID, Ref: old.Ref, Commit: old.Commit,
			Message: old.Message, Author: old.Author, Cause: cause,
		}
		if cause == CauseRollback {
			dep.RollbackTo = old.ID
		}
		return queue(ctx, tx, &dep)
	})
	if err != nil {
		return Deployment{}, found(fmt.Sprintf("queue %s", cause), err)
	}
	d.notify(ctx, TopicQueued, TopicPhase)
	return dep, nil
}

// Cancel ends a deployment: a queued one at once, a claimed one by an undo, which its worker begins as soon as it hears of
// it. A scaling takes the place of a queued one where Save would queue one. It returns ErrTooLate when what served before can no
// longer be kept by it, and ErrNotFound.
func (d *DB) Cancel(ctx context.Context, deploymentID int64) error {
	t := now()
	ended, owed := false, false
	err := d.tx(ctx, func(ctx context.Context, tx bun.Tx) (err error) {
		of := tx.NewSelect().Model((*Deployment)(nil)).Column("workload_id").Where("id = ?", deploymentID)
		w := tx.NewSelect().Model((*Workload)(nil)).Column("id").Where("id = (?)", of) // first, as who queues does
		if err := d.forUpdate(w).Scan(ctx, new(int64)); err != nil {
			return ignoreNone(err)
		}
		ended, err = affected(tx.NewUpdate().Model((*Deployment)(nil)).
			Set("phase = ?, status = ?, error = ?", PhaseCancelled, StatusFailure, "Cancelled before its turn came").
			Set("cancelled = ?, finished_at = ?, updated_at = ?", true, t, t).
			Where("id = ? AND phase = ?", deploymentID, PhaseQueued).Exec(ctx))
		if err != nil || !ended {
			return err
		}
		owed, err = d.queueOwedScale(ctx, tx, deploymentID)
		return err
	})
	if err != nil {
		return found("cancel deployment", err)
	}
	if owed {
		d.notify(ctx, TopicQueued)
	}
	if ended {
		d.notify(ctx, TopicPhase)
		return nil
	}
	asked, err := affected(d.bun.NewUpdate().Model((*Deployment)(nil)).Set("cancelled = ?, updated_at = ?", true, t).
		Where("id = ? AND phase IN (?)", deploymentID, bun.List(cancellable)).Exec(ctx))
	switch {
	case err != nil:
		return found("cancel deployment", err)
	case asked:
		d.notify(ctx, TopicCancel)
		return nil
	}
	if _, err := d.Deployment(ctx, deploymentID); err != nil {
		return err
	}
	return fmt.Errorf("deployment %d: %w", deploymentID, ErrTooLate)
}
