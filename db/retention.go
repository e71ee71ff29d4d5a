package db

import (
	"context"
	"slices"
	"time"

	"github.com/uptrace/bun"
)

// Retention is what the deployments of all workloads need of a runtime's disk.
type Retention struct {
	Kept       []Release    // what serves, what can be rolled back to, and what is in progress or queued
	Unfinished []Deployment // whose images may exist without a row that names them
}

// good are the phases of a deployment whose release served, or serves.
var good = []Phase{PhaseDraining, PhaseReaping, PhaseLive, PhaseRetired}

// Retention tells what to keep: for each workload the releases of the last good deployments, as many as keep says, the
// live one included, and all that unfinished deployments need. However many failed since does not matter.
func (d *DB) Retention(ctx context.Context, keep int) (Retention, error) {
	var out Retention
	// What is unfinished is read before what is good: a deployment that ends meanwhile is in the one or in the other.
	unfinished, err := d.deployments(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("phase IN (?)", bun.List(unfinished)).Order("id DESC")
	})
	if err != nil {
		return out, err
	}
	out.Unfinished = unfinished
	wanted, err := d.rollbackTargets(ctx)
	if err != nil {
		return out, err
	}
	out.keep(slices.Concat(unfinished, wanted)...)
	states, err := d.RuntimeStates(ctx)
	if err != nil {
		return out, err
	}
	for _, s := range states {
		out.Kept = append(out.Kept, s.Release)
	}
	workloads, err := d.Workloads(ctx)
	if err != nil {
		return out, err
	}
	for _, w := range workloads {
		served, err := d.lastGood(ctx, w.ID, keep)
		if err != nil {
			return out, err
		}
		out.keep(served...)
	}
	return out, nil
}

func (r *Retention) keep(deployments ...Deployment) {
	for _, dep := range deployments {
		if dep.Release != nil {
			r.Kept = append(r.Kept, *dep.Release)
		}
	}
}

// lastGood are the deployments of a workload that went live, newest first; what scaled one has the same release.
func (d *DB) lastGood(ctx context.Context, workloadID int64, limit int) ([]Deployment, error) {
	return d.deployments(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("workload_id = ? AND phase IN (?) AND cause <> ?", workloadID, bun.List(good), CauseScale).Order("id DESC").Limit(int64(limit))
	})
}

// rollbackTargets are the deployments that unfinished ones roll back to.
func (d *DB) rollbackTargets(ctx context.Context) ([]Deployment, error) {
	targets := d.bun.NewSelect().Model((*Deployment)(nil)).Column("rollback_to").
		Where("phase IN (?) AND rollback_to IS NOT NULL", bun.List(unfinished))
	return d.deployments(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("id IN (?)", targets) })
}

// PruneLogs removes the log lines of deployments that ended before a time, and returns how many. Those of what is live
// stay, and so do the deployments themselves. It goes from one deployment that has a log to the next, in their order, as far as
// one that was made since then: however many have lost theirs, or keep them, does not matter.
func (d *DB) PruneLogs(ctx context.Context, before time.Time) (int, error) {
	result, err := d.bun.NewRaw(`DELETE FROM log_lines WHERE deployment_id IN (
		WITH RECURSIVE logged (id) AS (
			SELECT (SELECT min(deployment_id) FROM log_lines)
			UNION ALL
			SELECT (SELECT min(deployment_id) FROM log_lines WHERE deployment_id > logged.id) FROM logged
			WHERE (SELECT created_at FROM deployments WHERE id = logged.id) < ?0
		)
		SELECT id FROM deployments WHERE id IN (SELECT id FROM logged) AND finished_at < ?0 AND phase <> ?1)`, before.UTC(), PhaseLive).Exec(ctx)
	if err != nil {
		return 0, found("prune logs", err)
	}
	n, err := result.RowsAffected()
	return int(n), found("prune logs", err)
}
