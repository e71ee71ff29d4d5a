package db

import (
	"context"
	"slices"
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

// reportLock is the key of the advisory lock under which commits are leased: "tinyrept" read as a number.
const reportLock = 0x74696e7972657074

// Way is a way to a forge: through one of its installations, or without any.
type Way struct{ ForgeID, InstallationID int64 }

// owed are the deployments of which the forge knows something else than is true. It hears nothing of those that scale: a commit that is
// live stays a success, whether there are more of it or not.
const owed = "unreported AND cause <> 'scale'"

// DueReports returns up to limit commits of which the forge was told something else than their deployments mean by now,
// and whose next attempt is due. Each is kept from other callers for a minute, whatever happens to its deployments.
// Commits that are reached by the ways except are left out; one without an installation stands for all of its forge.
func (d *DB) DueReports(ctx context.Context, limit int, except ...Way) ([]CommitKey, error) {
	var rows []CommitKey
	err := d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if d.postgres() { // one after the other, so that nobody sees half of a commit leased
			if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(?)", int64(reportLock)); err != nil {
				return err
			}
		}
		t := now()
		due := unreported(tx, except).Where("next.report_after <= ?", t).OrderExpr("next.report_after, next.id").Limit(int64(limit))
		rows = nil
		return tx.NewUpdate().Model((*Deployment)(nil)).Set("report_after = ?", t.Add(reportLease)).
			Where(owed+" AND (repository_id, commit_hash) IN (?)", due.Column("next.repository_id", "next.commit_hash")).
			Returning("repository_id, commit_hash").Scan(ctx, &rows)
	})
	if err != nil {
		return nil, found("read due reports", err)
	}
	var keys []CommitKey
	for _, key := range rows {
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// breakReportLeases makes due what a reporter kept from the others, or meant to try again within the time of a lease.
func (d *DB) breakReportLeases(ctx context.Context) error {
	t := now()
	_, err := d.bun.NewUpdate().Model((*Deployment)(nil)).Set("report_after = ?", t).
		Where(owed+" AND report_after > ? AND report_after <= ?", t, t.Add(reportLease)).Exec(ctx)
	return found("break report leases", err)
}

// NextReport returns when the next report is due; ok is false when nothing is to be reported. Commits that
// are reached by the ways except are left out.
func (d *DB) NextReport(ctx context.Context, except ...Way) (at time.Time, ok bool, err error) {
	err = unreported(d.bun, except).Column("next.report_after").OrderExpr("next.report_after").Limit(1).Scan(ctx, &at)
	if err = found("read next report", err); isNotFound(err) {
		return time.Time{}, false, nil
	}
	return at.UTC(), err == nil, err
}

// owedOf is owed of the deployments that a query calls so.
func owedOf(alias string) string { return alias + ".unreported AND " + alias + ".cause <> 'scale'" }

// unreported selects, of each commit of which the forge knows something else than what is true, the deployment that is due last, next:
// a commit is due when all of its deployments are. Who reads them in this order reads no more than asked for.
func unreported(db bun.IDB, except []Way) *bun.SelectQuery {
	later := db.NewSelect().TableExpr("deployments AS later").ColumnExpr("1").
		Where(owedOf("later")).
		Where("later.repository_id = next.repository_id AND later.commit_hash = next.commit_hash AND later.report_after > next.report_after")
	q := db.NewSelect().TableExpr("deployments AS next").Where(owedOf("next")).Where("NOT EXISTS (?)", later)
	if len(except) > 0 {
		q = q.Where("NOT EXISTS (?)", reachedBy(db, except...).Where("repository.id = next.repository_id"))
	}
	return q
}

// reachedBy selects the repositories that are reached by ways; one without an installation stands for all of its forge.
func reachedBy(db bun.IDB, ways ...Way) *bun.SelectQuery {
	var forges, installations []int64
	for _, w := range ways {
		if w.InstallationID == 0 {
			forges = append(forges, w.ForgeID)
		} else {
			installations = append(installations, w.InstallationID)
		}
	}
	return db.NewSelect().Model((*Repository)(nil)).Column("id").
		Where("(forge_id IN (?) OR installation_id IN (?))", bun.List(forges), bun.List(installations))
}

// refusals are the answers that have to do with who we are to the forge.
var refusals = []string{"401", "403", "404"}

// withdrawn are the phases of a deployment that was called off. It changed nothing: it takes no word back that another one of
// its commit has, so that a commit stays a success while it is live.
var withdrawn = []Phase{PhaseSuperseded, PhaseCancelled}

// DeploymentsOfCommit returns, oldest first, the deployment of each workload that has the say about a commit: the newest
// that was not called off, else the newest.
func (d *DB) DeploymentsOfCommit(ctx context.Context, key CommitKey) ([]Deployment, error) {
	newest := d.bun.NewSelect().Model((*Deployment)(nil)).
		ColumnExpr("COALESCE(max(CASE WHEN phase NOT IN (?) THEN id END), max(id))", bun.List(withdrawn)).
		Where("repository_id = ? AND commit_hash = ? AND cause <> ?", key.RepositoryID, key.Commit, CauseScale).Group("workload_id")
	return d.deployments(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("id IN (?)", newest).Order("id") })
}

// MarkReported records that the forge knows what these deployments of a commit mean, and that older deployments of the
// commit, and those which were called off, have no say any more. A deployment that has moved on since it was read stays due.
// ReportSent of told is saved, with those others too where it is not "".
func (d *DB) MarkReported(ctx context.Context, key CommitKey, told []Deployment) error {
	return d.reported(ctx, key, told, "")
}

// GiveUpReport is MarkReported for what the forge will never know, and records why: the code of its answer, or "silent".
func (d *DB) GiveUpReport(ctx context.Context, key CommitKey, told []Deployment, why string) error {
	return d.reported(ctx, key, told, why)
}

func (d *DB) reported(ctx context.Context, key CommitKey, told []Deployment, why string) error {
	return d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		for _, dep := range told {
			_, err := tx.NewUpdate().Model((*Deployment)(nil)).
				Set("reported = ?, report_attempts = 0, report_after = ?, report_error = ?", dep.Status, now(), why).
				Set("report_sent = ?", dep.ReportSent).
				Where("id = ?", dep.ID).Exec(ctx)
			if err != nil {
				return found("mark reported", err)
			}
			_, err = tx.NewUpdate().Model((*Deployment)(nil)).Set("reported = status, report_attempts = 0").
				Set("report_sent = COALESCE(NULLIF(?, ''), report_sent)", dep.ReportSent).
				Where("repository_id = ? AND commit_hash = ? AND workload_id = ?", key.RepositoryID, key.Commit, dep.WorkloadID).
				Where("id < ? OR id > ? AND phase IN (?)", dep.ID, dep.ID, bun.List(withdrawn)).Exec(ctx)
			if err != nil {
				return found("mark reported", err)
			}
		}
		return nil
	})
}

// DelayReport records a failed attempt to tell the forge about a commit, with all its deployments: what is due may be due
// because of one that has no say. The next attempt is due at after. It does nothing where the forge knows all.
func (d *DB) DelayReport(ctx context.Context, key CommitKey, after time.Time) error {
	due := d.bun.NewSelect().TableExpr("deployments AS due").ColumnExpr("1").
		Where("due.repository_id = ? AND due.commit_hash = ? AND "+owedOf("due"), key.RepositoryID, key.Commit)
	_, err := d.bun.NewUpdate().Model((*Deployment)(nil)).
		Set("report_attempts = report_attempts + 1, report_after = ?", after.UTC()).
		Where("repository_id = ? AND commit_hash = ? AND EXISTS (?)", key.RepositoryID, key.Commit, due).Exec(ctx)
	return found("delay report", err)
}

// HastenReports makes due what was to be told again, by a way, in more than a minute: the forge takes statuses there once more.
// What is being told just now is left alone.
func (d *DB) HastenReports(ctx context.Context, w Way) error {
	t := now()
	_, err := d.bun.NewUpdate().Model((*Deployment)(nil)).Set("report_after = ?", t).
		Where(owed+" AND report_attempts > 0 AND report_after > ?", t.Add(reportLease)).
		Where("repository_id IN (?)", reachedBy(d.bun, w)).Exec(ctx)
	return found("hasten reports", err)
}

// reviveReports has the statuses that a forge refused told once more, now that it may take them: whoever it did not let in may
// be let in. It is for the repositories in theirs.
func reviveReports(ctx context.Context, db bun.IDB, theirs *bun.SelectQuery) error {
	_, err := db.NewUpdate().Model((*Deployment)(nil)).
		Set("reported = report_sent, report_error = '', report_attempts = 0, report_after = ?", now()).
		Where("report_error IN (?) AND repository_id IN (?)", bun.List(refusals), theirs).Exec(ctx)
	return found("revive reports", err)
}

// CountUnreported returns how many deployments mean something else than the forge was told.
func (d *DB) CountUnreported(ctx context.Context) (int, error) {
	n, err := d.bun.NewSelect().Model((*Deployment)(nil)).Where(owed).Count(ctx)
	return int(n), found("count reports", err)
}
