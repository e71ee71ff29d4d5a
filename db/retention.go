package db

import (
	"context"
	"slices"

	"github.com/uptrace/bun"
)

// Retention is what the deployments of all workloads need of a runtime's disk.
type Retention struct {
	Kept       []Release    // what serves, what can be rolled back to, and what is in progress or queued
	Unfinished []Deployment // whose images may exist without a row that names them
	Old        []Release    // of finished deployments, and no longer kept
}

// oldReleases bounds how many finished deployments of a workload are looked at.
const oldReleases = 100

// Retention tells what to keep: for each workload the releases of the last good deployments, as many as keep says, the
// live one included, and all that unfinished deployments need.
func (d *DB) Retention(ctx context.Context, keep int) (Retention, error) {
	var out Retention
	workloads, err := d.Workloads(ctx)
	if err != nil {
		return out, err
	}
	states, err := d.RuntimeStates(ctx)
	if err != nil {
		return out, err
	}
	for _, s := range states {
		out.Kept = append(out.Kept, s.Release)
	}
	for _, w := range workloads {
		history, err := d.DeploymentsOf(ctx, w.ID, oldReleases)
		if err != nil {
			return out, err
		}
		out.divide(history, keep)
	}
	wanted, err := d.rollbackTargets(ctx)
	for _, dep := range wanted {
		out.keep(dep)
	}
	out.Old = slices.DeleteFunc(out.Old, func(old Release) bool {
		return slices.ContainsFunc(out.Kept, func(kept Release) bool { return kept.ID == old.ID })
	})
	return out, err
}

// divide sorts the deployments of one workload, newest first.
func (r *Retention) divide(history []Deployment, keep int) {
	for _, dep := range history {
		switch {
		case !dep.Phase.Final():
			r.Unfinished = append(r.Unfinished, dep)
			r.keep(dep)
			if dep.Phase.Committed() {
				keep--
			}
		case (dep.Phase == PhaseLive || dep.Phase == PhaseRetired) && keep > 0:
			keep--
			r.keep(dep)
		case dep.Release != nil:
			r.Old = append(r.Old, *dep.Release)
		}
	}
}

func (r *Retention) keep(dep Deployment) {
	if dep.Release != nil {
		r.Kept = append(r.Kept, *dep.Release)
	}
}

// rollbackTargets are the deployments that unfinished ones roll back to.
func (d *DB) rollbackTargets(ctx context.Context) ([]Deployment, error) {
	targets := d.bun.NewSelect().Model((*Deployment)(nil)).Column("rollback_to").
		Where("phase IN (?) AND rollback_to IS NOT NULL", bun.List(unfinished))
	return d.deployments(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("id IN (?)", targets) })
}
