package db

import (
	"context"
	"time"

	"github.com/uptrace/bun"
)

// CommitKey is what commit statuses are about.
type CommitKey struct {
	RepositoryID int64
	Commit       string `bun:"commit_hash"`
}

// reportLease keeps other reporters away from a commit while one speaks to the forge.
const reportLease = time.Minute

// DueReports returns up to limit commits of which the forge was told something else than their deployments mean by now,
// and whose next attempt is due. Each is kept from other callers for a minute.
func (d *DB) DueReports(ctx context.Context, limit int) ([]CommitKey, error) {
	t := now()
	due := d.bun.NewSelect().Model((*Deployment)(nil)).Column("id").
		Where("status <> reported AND report_after <= ?", t).Order("id").Limit(int64(limit))
	if d.postgres() {
		due = due.For("UPDATE SKIP LOCKED")
	}
	var rows []CommitKey
	err := d.bun.NewUpdate().Model((*Deployment)(nil)).Set("report_after = ?", t.Add(reportLease)).
		Where("id IN (?)", due).Returning("repository_id, commit_hash").Scan(ctx, &rows)
	if err != nil {
		return nil, found("read due reports", err)
	}
	var keys []CommitKey
	known := map[CommitKey]bool{}
	for _, key := range rows {
		if !known[key] {
			known[key] = true
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// NextReport returns when the next report is due; ok is false when nothing is to be reported.
func (d *DB) NextReport(ctx context.Context) (at time.Time, ok bool, err error) {
	var dep Deployment
	err = d.bun.NewSelect().Model(&dep).Column("report_after").Where("status <> reported").
		Order("report_after").Limit(1).Scan(ctx)
	if err = found("read next report", err); isNotFound(err) {
		return time.Time{}, false, nil
	}
	return dep.ReportAfter, err == nil, err
}

// DeploymentsOfCommit returns the newest deployment of each workload for a commit, oldest first.
func (d *DB) DeploymentsOfCommit(ctx context.Context, key CommitKey) ([]Deployment, error) {
	newest := d.bun.NewSelect().Model((*Deployment)(nil)).ColumnExpr("max(id)").
		Where("repository_id = ? AND commit_hash = ?", key.RepositoryID, key.Commit).Group("workload_id")
	return d.deployments(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("id IN (?)", newest).Order("id") })
}

// MarkReported records that the forge knows, or will never know, what these deployments of a commit mean, and that older
// deployments of the commit have no say any more. A deployment that has moved on since it was read stays due.
func (d *DB) MarkReported(ctx context.Context, key CommitKey, told []Deployment) error {
	return d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		for _, dep := range told {
			_, err := tx.NewUpdate().Model((*Deployment)(nil)).
				Set("reported = ?, report_attempts = 0, report_after = ?", dep.Status, now()).
				Where("id = ?", dep.ID).Exec(ctx)
			if err != nil {
				return found("mark reported", err)
			}
			_, err = tx.NewUpdate().Model((*Deployment)(nil)).Set("reported = status").
				Where("repository_id = ? AND commit_hash = ?", key.RepositoryID, key.Commit).
				Where("workload_id = ? AND id < ?", dep.WorkloadID, dep.ID).Exec(ctx)
			if err != nil {
				return found("mark reported", err)
			}
		}
		return nil
	})
}

// DelayReport records a failed attempt to tell the forge about a commit. The next one is due at after.
func (d *DB) DelayReport(ctx context.Context, key CommitKey, after time.Time) error {
	_, err := d.bun.NewUpdate().Model((*Deployment)(nil)).
		Set("report_attempts = report_attempts + 1, report_after = ?", after.UTC()).
		Where("repository_id = ? AND commit_hash = ? AND status <> reported", key.RepositoryID, key.Commit).Exec(ctx)
	return found("delay report", err)
}

// CountUnreported returns how many deployments mean something else than the forge was told.
func (d *DB) CountUnreported(ctx context.Context) (int, error) {
	n, err := d.bun.NewSelect().Model((*Deployment)(nil)).Where("status <> reported").Count(ctx)
	return int(n), found("count reports", err)
}
