package db

import (
	"context"

	"github.com/uptrace/bun"
)

// Standing is how a workload stands.
type Standing struct {
	ID      int64
	Name    string
	Host    string
	Enabled bool

	LiveID     int64 // the deployment that serves; 0 when none ever did
	LiveCommit string

	LastID    int64 // the newest deployment; 0 when there is none
	LastPhase Phase

	NowID    int64 // the deployment in progress or, when there is none, the queued one; 0 when there is neither
	NowPhase Phase
}

// Standings tells of every workload that is not deleted, by name.
func (d *DB) Standings(ctx context.Context) ([]Standing, error) {
	var list []Standing
	newest := d.bun.NewSelect().TableExpr("deployments").ColumnExpr("max(id)").Where("workload_id = w.id")
	err := d.bun.NewSelect().TableExpr("workloads AS w").
		Join("LEFT JOIN runtime_states AS s ON s.workload_id = w.id").
		Join("LEFT JOIN deployments AS d ON d.id = (?)", newest).
		ColumnExpr("w.id, w.name, w.host, w.enabled").
		ColumnExpr("s.deployment_id AS live_id, s.commit_hash AS live_commit, d.id AS last_id, d.phase AS last_phase").
		Where("w.deleted_at IS NULL").OrderExpr("w.name").Scan(ctx, &list)
	if err != nil {
		return nil, found("read workloads", err)
	}
	var busy []Deployment
	err = d.bun.NewSelect().Model(&busy).Column("id", "workload_id", "phase").Where("phase IN (?)", bun.List(unfinished)).Order("id DESC").Scan(ctx)
	if err != nil {
		return nil, found("read unfinished deployments", err)
	}
	now := map[int64]Deployment{} // the queued one of a workload is its newest, so that the one in progress stays
	for _, dep := range busy {
		now[dep.WorkloadID] = dep
	}
	for i := range list {
		dep := now[list[i].ID]
		list[i].NowID, list[i].NowPhase = dep.ID, dep.Phase
	}
	return list, nil
}

// DeploymentsByID returns of deployments what a list shows, by their ids; those that do not exist are not among them.
func (d *DB) DeploymentsByID(ctx context.Context, ids ...int64) (map[int64]Deployment, error) {
	byID := map[int64]Deployment{}
	if len(ids) == 0 {
		return byID, nil
	}
	list, err := d.deployments(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Column("id", "workload_id", "commit_hash", "message", "author", "phase", "strategy", "created_at").Where("id IN (?)", bun.List(ids))
	})
	for _, dep := range list {
		byID[dep.ID] = dep
	}
	return byID, err
}

// CountAhead returns how many deployments are queued that were asked for before the one with this id.
func (d *DB) CountAhead(ctx context.Context, id int64) (int, error) {
	n, err := d.bun.NewSelect().Model((*Deployment)(nil)).Where("phase = ? AND id < ?", PhaseQueued, id).
		Where("phase IN (?)", bun.List(unfinished)).Count(ctx)
	return int(n), found("count queue", err)
}
