package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/uptrace/bun"
)

// EnqueuePackage records a delivery that tells of a new image in a registry, and queues a deployment for each workload that
// runs it, in one transaction. del.Ref is the image's name with its tag, del.After its digest, "" where that is not known.
//
// Each deployment is of the commit that its workload is about to run or else runs, with the words of that one; of its own
// only where there is neither. Nothing is queued for a duplicate (by id, or of the same image under the same tag), and where
// a queued deployment will pull the image anyway: that one is as good as asked for by the package from then on. Of each
// deployment WorkloadID, Ref, Commit, Message and Author are read.
func (d *DB) EnqueuePackage(ctx context.Context, del *Delivery, deployments []Deployment) (Enqueued, error) {
	return d.take(ctx, &arrival{del: del, deployments: deployments, ofForge: true, act: d.queuePackage})
}

func (d *DB) queuePackage(ctx context.Context, tx bun.Tx, del *Delivery, deployments []Deployment) (queued []int64, err error) {
	told, err := toldAlready(ctx, tx, *del)
	switch {
	case err != nil:
		return nil, err
	case told:
		del.Decision = "already delivered: " + del.After + " is what " + del.Ref + " was last moved to"
	case len(deployments) > 0:
		del.Decision, queued, err = d.queuePackages(ctx, tx, del, deployments)
	}
	return queued, err
}

// toldAlready tells whether the last delivery of the image and tag that moved something was of the same digest.
func toldAlready(ctx context.Context, tx bun.Tx, del Delivery) (bool, error) {
	var last Delivery
	err := tx.NewSelect().Model(&last).Where("repository_id IS NULL AND forge_id = ?", del.ForgeID).
		Where("ref = ? AND accepted AND id <> ?", del.Ref, del.ID).Order("id DESC").Limit(1).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return del.After != "" && last.After == del.After, err
}

// queuePackages queues what is worth deploying and says in words what it did. The delivery is accepted when a workload is,
// or will be, made to run the image.
func (d *DB) queuePackages(ctx context.Context, tx bun.Tx, del *Delivery, deployments []Deployment) (string, []int64, error) {
	var said []string
	var ids []int64
	for _, dep := range deployments {
		dep.DeliveryID, dep.Cause = del.ID, CausePackage
		why, pulled, err := d.asRunning(ctx, tx, &dep)
		if err != nil {
			return "", nil, err
		}
		del.Accepted = del.Accepted || why == "" || pulled
		if why != "" {
			said = append(said, why)
			continue
		}
		dep.clean()
		if err := queue(ctx, tx, &dep); err != nil {
			return "", nil, err
		}
		ids = append(ids, dep.ID)
		said = append(said, fmt.Sprintf("deployment %d queued", dep.ID))
	}
	return strings.Join(said, "; "), ids, nil
}

// asRunning makes dep one of what its workload is about to run or runs. It says why that is needless or impossible, or "";
// pulled tells that the image will be pulled all the same.
func (d *DB) asRunning(ctx context.Context, tx bun.Tx, dep *Deployment) (why string, pulled bool, err error) {
	var w Workload
	q := tx.NewSelect().Model(&w).Where("id = ? AND deleted_at IS NULL", dep.WorkloadID)
	switch err := d.forUpdate(q).Scan(ctx); {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Sprintf("workload %d was deleted", dep.WorkloadID), false, nil
	case err != nil:
		return "", false, err
	}
	dep.RepositoryID = w.RepositoryID
	running, err := runningOrNext(ctx, tx, dep.WorkloadID)
	if err == nil && running.Phase == PhaseQueued {
		if pulled, err = pullInItsTurn(ctx, tx, running.ID); err == nil && !pulled {
			running, err = runningOrNext(ctx, tx, dep.WorkloadID)
		}
	}
	switch {
	case err != nil:
		return "", false, err
	case pulled:
		return fmt.Sprintf("deployment %d, which waits for its turn, pulls it", running.ID), true, nil
	case running.Commit != "":
		dep.Ref, dep.Commit, dep.Message, dep.Author = running.Ref, running.Commit, running.Message, running.Author
	case dep.Commit == "":
		return fmt.Sprintf("workload %s was never deployed, and this names no commit: push one to deploy it first", w.Name), false, nil
	}
	return "", false, nil
}

// pullInItsTurn makes sure that a queued deployment pulls its image when its turn comes: one that a push asked for would be
// skipped where its commit is live by then. It reports false when it is not queued any more.
func pullInItsTurn(ctx context.Context, tx bun.Tx, deploymentID int64) (bool, error) {
	return affected(tx.NewUpdate().Model((*Deployment)(nil)).
		Set("cause = CASE WHEN cause = ? THEN ? ELSE cause END, updated_at = ?", CausePush, CausePackage, now()).
		Where("id = ? AND phase = ?", deploymentID, PhaseQueued).Exec(ctx))
}

// runningOrNext returns the deployment after which the next one comes: the queued one, unless that is a rollback, else the
// one in progress, else the one that is live; the zero Deployment where there is none.
func runningOrNext(ctx context.Context, tx bun.Tx, workloadID int64) (Deployment, error) {
	var unended []Deployment
	err := tx.NewSelect().Model(&unended).Where("workload_id = ? AND phase IN (?)", workloadID, bun.List(unfinished)).
		Order("id DESC").Scan(ctx)
	if err != nil {
		return Deployment{}, err
	}
	for _, dep := range unended {
		waitsForAnOld := dep.Phase == PhaseQueued && dep.Cause == CauseRollback // a new image supersedes that
		if !dep.GivenUp() && !waitsForAnOld {
			return dep, nil
		}
	}
	var live Deployment
	err = tx.NewSelect().Model(&live).
		Where("id = (SELECT deployment_id FROM runtime_states WHERE workload_id = ?)", workloadID).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	live.Phase = PhaseLive // it may be in its last phases
	return live, err
}
