package db

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

var (
	// inProgress are the phases of a deployment that was claimed; a workload has at most one in them.
	inProgress = []Phase{PhaseBuilding, PhaseStopping, PhaseStarting, PhaseGating, PhaseRouting, PhaseCommitting,
		PhaseDraining, PhaseReaping, PhaseUndoing}

	// unfinished are the phases in which something is still to be done.
	unfinished = append([]Phase{PhaseQueued}, inProgress...)

	// finished are all others.
	finished = []Phase{PhaseLive, PhaseRetired, PhaseFailed, PhaseSuperseded, PhaseSkipped, PhaseCancelled}
)

// queueAll queues what is worth deploying and says in words what it did.
func (d *DB) queueAll(ctx context.Context, tx bun.Tx, del Delivery, deployments []Deployment) (string, []int64, error) {
	var said []string
	var ids []int64
	for _, dep := range deployments {
		dep.RepositoryID, dep.DeliveryID = del.RepositoryID, del.ID
		dep.clean()
		why, err := d.needless(ctx, tx, dep)
		if err != nil {
			return "", nil, err
		}
		if why != "" {
			said = append(said, why)
			continue
		}
		if err := queue(ctx, tx, &dep); err != nil {
			return "", nil, err
		}
		ids = append(ids, dep.ID)
		said = append(said, fmt.Sprintf("deployment %d queued", dep.ID))
	}
	return strings.Join(said, "; "), ids, nil
}

// needless says why a deployment would change nothing, or "": the commit is what the workload runs, or is about to run,
// or there is no such workload any more.
func (d *DB) needless(ctx context.Context, tx bun.Tx, dep Deployment) (string, error) {
	switch err := d.lockWorkload(ctx, tx, dep.WorkloadID); {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Sprintf("workload %d was deleted", dep.WorkloadID), nil
	case err != nil:
		return "", err
	}
	var newest Deployment
	id := tx.NewSelect().Model((*Deployment)(nil)).ColumnExpr("max(id)").
		Where("workload_id = ? AND phase IN (?) AND cause <> ?", dep.WorkloadID, bun.List(unfinished), CauseScale) // which deploys no commit
	err := tx.NewSelect().Model(&newest).Where("id = (?)", id).Scan(ctx) // by order and limit SQLite would go through all of the workload's
	switch {
	case err == nil && newest.Commit == dep.Commit && !newest.GivenUp():
		return fmt.Sprintf("%s is being deployed already", short(dep.Commit)), nil
	case err == nil:
		return "", nil // what is live now may not be when this one's turn comes
	case !errors.Is(err, sql.ErrNoRows):
		return "", err
	}
	live, err := tx.NewSelect().Model((*RuntimeState)(nil)).
		Where("workload_id = ? AND commit_hash = ?", dep.WorkloadID, dep.Commit).Exists(ctx)
	if err != nil || !live {
		return "", err
	}
	return fmt.Sprintf("%s is live already", short(dep.Commit)), nil
}

// lockWorkload has others who queue, or delete, wait until the transaction ends. It returns sql.ErrNoRows when the workload is deleted.
func (d *DB) lockWorkload(ctx context.Context, tx bun.Tx, id int64) error {
	w := tx.NewSelect().Model((*Workload)(nil)).Column("id").Where("id = ? AND deleted_at IS NULL", id)
	return d.forUpdate(w).Scan(ctx, new(int64))
}

// queue makes dep the only queued deployment of its workload. A scaling that another one took along it takes along.
func queue(ctx context.Context, tx bun.Tx, dep *Deployment) error {
	t := now()
	scales, err := tx.NewSelect().Model((*Deployment)(nil)).Where("workload_id = ? AND phase = ? AND scales", dep.WorkloadID, PhaseQueued).Exists(ctx)
	if err != nil {
		return err
	}
	dep.Scales = dep.Scales || scales
	_, err = tx.NewUpdate().Model((*Deployment)(nil)).
		Set("phase = ?, status = ?, superseded_by = ?", PhaseSuperseded, StatusFailure, dep.Commit).
		Set("finished_at = ?, updated_at = ?", t, t).
		Where("workload_id = ? AND phase = ?", dep.WorkloadID, PhaseQueued).Exec(ctx)
	if err != nil {
		return err
	}
	dep.Phase, dep.Status, dep.Cause = PhaseQueued, StatusPending, cmp.Or(dep.Cause, CausePush)
	dep.CreatedAt, dep.UpdatedAt, dep.ReportAfter = t, t, t
	_, err = tx.NewInsert().Model(dep).Exec(ctx)
	return err
}

// Claim leases the oldest deployment that nobody works on and whose workload has no other in progress. A queued one is
// put into PhaseBuilding; one whose worker died keeps its phase. It returns nil when there is none. Each claim of one
// deployment has a lease of its own: writes under an older one answer ErrLeaseLost. Only what runs on the runtimes is claimed, of a
// workload that moves from one to another if both are among them; without any, all is.
func (d *DB) Claim(ctx context.Context, owner string, lease time.Duration, runtimes ...string) (*Deployment, error) {
	t := now()
	dep := new(Deployment)
	begun, err := json.Marshal([]Entered{{PhaseBuilding, t}})
	if err != nil {
		return nil, fmt.Errorf("claim deployment: %w", err)
	}
	err = d.bun.NewUpdate().Model(dep).
		Set("entered = CASE WHEN phase = ? THEN ? ELSE entered END", PhaseQueued, string(begun)).
		Set("lease_owner = ?, lease_until = ?", owner+"/"+rand.Text(), d.ago(-lease)).
		Set("phase = CASE WHEN phase = ? THEN ? ELSE phase END", PhaseQueued, PhaseBuilding).
		Set("attempt = attempt + 1, started_at = COALESCE(started_at, ?), updated_at = ?", t, t).
		Where("id = (?)", d.claimable(runtimes)).
		Returning("?Columns").
		Scan(ctx)
	switch {
	case errors.Is(err, sql.ErrNoRows), uniqueViolation(err): // another process claimed one of the same workload
		return nil, nil
	case err != nil:
		return nil, found("claim deployment", err)
	}
	d.notify(ctx, TopicPhase)
	return dep, dep.unseal(d.keys)
}

func (d *DB) claimable(runtimes []string) *bun.SelectQuery {
	busy := d.bun.NewSelect().TableExpr("deployments AS other").ColumnExpr("1").
		Where("other.workload_id = deployment.workload_id AND other.id <> deployment.id").
		Where("other.phase IN (?)", bun.List(inProgress))
	q := d.bun.NewSelect().Model((*Deployment)(nil)).Column("id").
		Where("phase IN (?)", bun.List(unfinished)).
		Where("lease_until IS NULL OR lease_until < ?", d.ago(0)).
		Where("NOT EXISTS (?)", busy).
		OrderExpr("id").Limit(1)
	if len(runtimes) > 0 {
		can := d.bun.NewSelect().Model((*Workload)(nil)).ColumnExpr("1").Where("workload.id = deployment.workload_id AND runtime IN (?)", bun.List(runtimes))
		cannot := d.bun.NewSelect().Model((*RuntimeState)(nil)).ColumnExpr("1").
			Where("runtime_state.workload_id = deployment.workload_id AND runtime NOT IN (?)", bun.List(runtimes))
		q = q.Where("EXISTS (?) AND NOT EXISTS (?)", can, cannot)
	}
	if d.postgres() {
		q = q.For("UPDATE SKIP LOCKED")
	}
	return q
}

// BreakLeases ends every lease at once, so that whatever is in progress can be claimed. It returns how many there were.
// It is for the start of the only process: who held a lease works on without one, until its next write answers
// ErrLeaseLost. Statuses that it was about to set are due at once.
func (d *DB) BreakLeases(ctx context.Context) (int, error) {
	if err := d.breakReportLeases(ctx); err != nil {
		return 0, err
	}
	result, err := d.bun.NewUpdate().Model((*Deployment)(nil)).
		Set("lease_owner = '', lease_until = NULL, updated_at = ?", now()).
		Where("phase IN (?) AND lease_until IS NOT NULL", bun.List(unfinished)).Exec(ctx)
	if err != nil {
		return 0, found("break leases", err)
	}
	n, err := result.RowsAffected()
	if n > 0 {
		d.notify(ctx, TopicQueued)
	}
	return int(n), found("break leases", err)
}

// Leased tells whether a deployment is under a lease that is not over.
func (d *DB) Leased(ctx context.Context, id int64) (bool, error) {
	led, err := d.bun.NewSelect().Model((*Deployment)(nil)).Where("id = ? AND lease_until >= ?", id, d.ago(0)).Exists(ctx)
	return led, found("look at a lease", err)
}

// Renew extends the lease, or answers ErrLeaseLost, also when the deployment has ended. It reads Cancelled again.
func (d *DB) Renew(ctx context.Context, dep *Deployment, lease time.Duration) error {
	err := d.bun.NewUpdate().Model((*Deployment)(nil)).Set("lease_until = ?, updated_at = ?", d.ago(-lease), now()).
		Where("id = ? AND lease_owner = ? AND lease_owner <> ''", dep.ID, dep.LeaseOwner).
		Where("phase IN (?)", bun.List(unfinished)).
		Returning("cancelled").Scan(ctx, &dep.Cancelled)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrLeaseLost
	}
	return found("renew lease", err)
}

// HandOver gives the lease up so that another worker goes on at once. The claim does not count as an attempt.
func (d *DB) HandOver(ctx context.Context, dep *Deployment) error {
	err := d.leased(ctx, dep, "hand deployment over", func(q *bun.UpdateQuery) *bun.UpdateQuery {
		return q.Set("lease_owner = '', lease_until = NULL, attempt = attempt - 1")
	})
	if err == nil {
		d.notify(ctx, TopicQueued)
	}
	return err
}

// Save writes what the worker may change (Phase, Strategy, Release, Error, Fault, Tail, Served, Refused, Message, Author), and in
// Entered when it came to its phase, or answers ErrLeaseLost. A final phase ends the lease; where it is not PhaseLive, a scaling
// that it took along is queued.
func (d *DB) Save(ctx context.Context, dep *Deployment) error {
	if err := dep.seal(d.keys); err != nil {
		return err
	}
	save := func(ctx context.Context, tx bun.IDB) error { return leased(ctx, tx, dep, "save deployment", dep.set) }
	var err error
	if dep.Phase.Final() && dep.Phase != PhaseLive {
		err = d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
			if err := save(ctx, tx); err != nil {
				return err
			}
			_, err := d.queueOwedScale(ctx, tx, dep.ID)
			return err
		})
	} else {
		err = save(ctx, d.bun)
	}
	if err == nil {
		d.saved(ctx, dep)
	}
	return err
}

// Commit is the commit point: in one transaction the deployment enters a phase beyond it, state becomes the single row
// that says what serves, and what was live before is retired. It returns ErrCancelled, and does nothing, when the
// deployment was cancelled before.
func (d *DB) Commit(ctx context.Context, dep *Deployment, state RuntimeState) error {
	if err := dep.seal(d.keys); err != nil {
		return err
	}
	finished, entered := dep.FinishedAt, dep.Entered
	dep.FinishedAt = now()
	err := d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := leased(ctx, tx, dep, "commit deployment", dep.set); err != nil {
			return err
		}
		var cancelled bool
		if err := tx.NewSelect().Model((*Deployment)(nil)).Column("cancelled").Where("id = ?", dep.ID).Scan(ctx, &cancelled); err != nil {
			return err
		}
		if cancelled { // what Cancel wrote before this transaction had the row
			return ErrCancelled
		}
		_, err := tx.NewUpdate().Model((*Deployment)(nil)).Set("phase = ?, updated_at = ?", PhaseRetired, now()).
			Where("workload_id = ? AND phase = ? AND id <> ?", dep.WorkloadID, PhaseLive, dep.ID).Exec(ctx)
		if err != nil {
			return err
		}
		return d.saveRuntimeState(ctx, tx, &state)
	})
	if err != nil {
		dep.FinishedAt, dep.Entered = finished, entered
		return err
	}
	d.saved(ctx, dep)
	return nil
}

func (d *DB) saved(ctx context.Context, dep *Deployment) {
	d.notify(ctx, TopicPhase)
	if dep.Phase.Final() {
		d.notify(ctx, TopicQueued) // the workload's next one may be claimed
	}
}

// set is the part of Save that goes into the statement.
func (dep *Deployment) set(q *bun.UpdateQuery) *bun.UpdateQuery {
	dep.clean()
	dep.enter()
	dep.Status = dep.Phase.Status()
	if dep.Phase.Final() {
		if dep.FinishedAt.IsZero() {
			dep.FinishedAt = now()
		}
		q = q.Set("lease_until = NULL")
	}
	return q.Column("phase", "status", "strategy", "strategy_reason", "sealed", "error", "fault", "tail", "entered", "served", "refused",
		"message", "author", "finished_at")
}

func (d *DB) leased(ctx context.Context, dep *Deployment, what string, set func(*bun.UpdateQuery) *bun.UpdateQuery) error {
	return leased(ctx, d.bun, dep, what, set)
}

func leased(ctx context.Context, db bun.IDB, dep *Deployment, what string, set func(*bun.UpdateQuery) *bun.UpdateQuery) error {
	ok, err := affected(set(db.NewUpdate().Model(dep)).Set("updated_at = ?", now()).
		Where("id = ? AND lease_owner = ? AND lease_owner <> ''", dep.ID, dep.LeaseOwner).Exec(ctx))
	if err == nil && !ok {
		err = ErrLeaseLost
	}
	return found(what, err)
}

const sealDeployment = "deployments.release"

func (dep *Deployment) seal(keys *Keyring) (err error) {
	if dep.Release != nil {
		dep.Sealed, err = keys.seal(dep.Release, sealDeployment)
	}
	return err
}

func (dep *Deployment) unseal(keys *Keyring) error {
	return keys.open(dep.Sealed, &dep.Release, sealDeployment)
}
