package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

// Strategy is how a new release takes over from the one that serves.
type Strategy string

const (
	BlueGreen Strategy = "blue-green"
	Recreate  Strategy = "recreate"
	Scale     Strategy = "scale" // more replicas of what serves, or fewer, in place; nobody can ask for it by name
	Stack     Strategy = "stack" // managed by Compose; nobody can ask for it by name
)

// Phase is where a deployment is. It is written before the phase's side effect.
type Phase string

const (
	PhaseQueued     Phase = "queued"
	PhaseBuilding   Phase = "building"
	PhaseStopping   Phase = "stopping"
	PhaseStarting   Phase = "starting"
	PhaseGating     Phase = "gating"
	PhaseRouting    Phase = "routing"
	PhaseCommitting Phase = "committing"
	PhaseDraining   Phase = "draining"
	PhaseReaping    Phase = "reaping"
	PhaseUndoing    Phase = "undoing"

	PhaseLive       Phase = "live"       // it serves
	PhaseRetired    Phase = "retired"    // it served; a newer one took over
	PhaseFailed     Phase = "failed"     // undone; what served before serves
	PhaseSuperseded Phase = "superseded" // a newer push came before its turn
	PhaseSkipped    Phase = "skipped"    // its commit was live when its turn came
	PhaseCancelled  Phase = "cancelled"  // somebody ended it; undone, what served before serves
)

// Status is what a commit status says.
type Status string

const (
	StatusPending Status = "pending"
	StatusSuccess Status = "success"
	StatusFailure Status = "failure"
)

// Status returns what the phase means to somebody who looks at the commit.
func (p Phase) Status() Status {
	switch p {
	case PhaseDraining, PhaseReaping, PhaseLive, PhaseRetired, PhaseSkipped:
		return StatusSuccess
	case PhaseFailed, PhaseSuperseded, PhaseCancelled:
		return StatusFailure
	default:
		return StatusPending
	}
}

// Final tells whether nothing more will happen in this deployment.
func (p Phase) Final() bool {
	switch p {
	case PhaseLive, PhaseRetired, PhaseFailed, PhaseSuperseded, PhaseSkipped, PhaseCancelled:
		return true
	default:
		return false
	}
}

// Committed tells whether the commit point is passed: from here there is only forward.
func (p Phase) Committed() bool { return p == PhaseDraining || p == PhaseReaping }

// Cause is why a deployment was asked for.
type Cause string

const (
	CausePush     Cause = "push"     // a ref was moved
	CausePackage  Cause = "package"  // a registry has a new image for it
	CauseRedeploy Cause = "redeploy" // somebody wants the same commit built and started anew
	CauseManual   Cause = "manual"   // somebody chose a commit
	CauseScale    Cause = "scale"    // somebody wants what is live to run more often, or less
	CauseRollback Cause = "rollback" // somebody wants a release back that was live before
)

// Deployment is one attempt to make a commit the release of a workload.
type Deployment struct {
	ID           int64 `bun:",pk,autoincrement"`
	WorkloadID   int64
	RepositoryID int64
	DeliveryID   int64 `bun:",nullzero"` // the row of deliveries that asked for it

	Ref     string // "refs/heads/main"
	Commit  string `bun:"commit_hash"` // full hexadecimal hash
	Message string // the commit's first line
	Author  string

	Phase      Phase
	Cause      Cause // "" is queued as CausePush
	RollbackTo int64 `bun:",nullzero"` // the deployment whose release is to serve again; 0 unless CauseRollback
	Cancelled  bool  // somebody asked for its end, in time: it is undone
	Scales     bool  // it takes along a scaling that was asked for

	Strategy       Strategy // set when building begins
	StrategyReason string   // why it is another one than the config asks for; "" when it is not
	Error          string   // why it failed, in words for the user; never a secret
	Fault          *Fault   `bun:"type:jsonb,nullzero"` // the same as a code, where there is one for it
	Tail           string   // the failed release's last log lines
	SupersededBy   string   // the newer commit

	Entered []Entered `bun:"type:jsonb,nullzero"` // its phases in order, since it was claimed; none of one from before they were kept
	Served  *int64    // requests answered while its route moved; nil where nobody counts, or it did not come to that
	Refused *int64    // requests that failed meanwhile; nil likewise

	Release *Release `bun:"-"` // nil until built
	Sealed  []byte   // Release, sealed

	LeaseOwner string    // who works on it; "" means nobody
	LeaseUntil time.Time `bun:",nullzero"`
	Attempt    int       // how often it was claimed, hand-overs not counted

	Status         Status    // what Phase means, kept in step by SetPhase
	Reported       Status    // the Status that the forge knows of, or is not to know; "" means none
	ReportSent     Status    // what the forge was last sent about its commit; "" means nothing
	ReportAttempts int       // failures in a row to tell it
	ReportAfter    time.Time // not before
	ReportError    string    // why the forge will never be told: the code of its answer, or "silent"; "" when that is not so

	CreatedAt  time.Time
	StartedAt  time.Time `bun:",nullzero"` // first claimed
	FinishedAt time.Time `bun:",nullzero"` // committed, failed, superseded or skipped
	UpdatedAt  time.Time
}

// CommitText is what a commit says of itself, empty where that is not known.
type CommitText struct {
	Message string // its first line
	Author  string
}

// Entered is when a deployment came to a phase.
type Entered struct {
	Phase Phase     `json:"phase"`
	At    time.Time `json:"at"`
}

// Fault is why a deployment failed: a code, such as "port_refused", and what its text in any language has to name.
type Fault struct {
	Code   string            `json:"code"`
	Values map[string]string `json:"values,omitempty"` // never a secret
}

// GivenUp tells whether the deployment is undone, or will be: it does not go live.
func (dep Deployment) GivenUp() bool { return dep.Cancelled || dep.Phase == PhaseUndoing }

// StillServes is how the error of a deployment ends that was undone, where something served before.
const StillServes = "; the previous release still serves"

// StillServes tells whether what served before the deployment was seen to serve again after it failed.
func (dep Deployment) StillServes() bool { return strings.HasSuffix(dep.Error, StillServes) }

// Duration is the time from the push to the end, or to now while there is none.
func (dep Deployment) Duration() time.Duration {
	if dep.FinishedAt.IsZero() {
		return time.Since(dep.CreatedAt)
	}
	return dep.FinishedAt.Sub(dep.CreatedAt)
}

// Deployment returns the deployment with this id, or ErrNotFound.
func (d *DB) Deployment(ctx context.Context, id int64) (Deployment, error) {
	list, err := d.deployments(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("id = ?", id) })
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("read deployment: %w", ErrNotFound)
	}
	if err != nil {
		return Deployment{}, err
	}
	return list[0], nil
}

// DeploymentsOf returns the newest deployments of a workload, newest first.
func (d *DB) DeploymentsOf(ctx context.Context, workloadID int64, limit int) ([]Deployment, error) {
	return d.deployments(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("workload_id = ?", workloadID).Order("id DESC").Limit(int64(limit))
	})
}

// DeploymentsBefore is DeploymentsOf for those that are older than the one with an id; 0 begins with the newest.
func (d *DB) DeploymentsBefore(ctx context.Context, workloadID, before int64, limit int) ([]Deployment, error) {
	return d.deployments(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		if before > 0 {
			q = q.Where("id < ?", before)
		}
		return q.Where("workload_id = ?", workloadID).Order("id DESC").Limit(int64(limit))
	})
}

// Previous returns the deployment whose release served before the live one, or ErrNotFound. A release that was scaled is the same one.
func (d *DB) Previous(ctx context.Context, workloadID int64) (id int64, err error) {
	q := d.bun.NewSelect().Model((*Deployment)(nil)).Column("id").Where("workload_id = ? AND phase = ?", workloadID, PhaseRetired)
	live, err := d.RuntimeState(ctx, workloadID)
	switch {
	case err == nil:
		q = q.Where("id < ?", cmp.Or(live.Release.DeploymentID, live.DeploymentID)) // that made it; what came since has scaled it
	case !errors.Is(err, ErrNotFound):
		return 0, err
	}
	return id, found("read previous release", q.Order("id DESC").Limit(1).Scan(ctx, &id))
}

// InProgress returns the deployment of a workload that was claimed and is not finished, or ErrNotFound.
func (d *DB) InProgress(ctx context.Context, workloadID int64) (Deployment, error) {
	list, err := d.deployments(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("workload_id = ? AND phase IN (?)", workloadID, bun.List(inProgress))
	})
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("read deployment in progress: %w", ErrNotFound)
	}
	if err != nil {
		return Deployment{}, err
	}
	return list[0], nil
}

// CountDeployments returns how many deployments are in each phase.
func (d *DB) CountDeployments(ctx context.Context) (map[Phase]int, error) {
	var rows []struct {
		Phase Phase
		Count int
	}
	in := func(phases []Phase) *bun.SelectQuery {
		return d.bun.NewSelect().Model((*Deployment)(nil)).ColumnExpr("phase, count(*) AS count").Where("phase IN (?)", bun.List(phases)).Group("phase")
	}
	err := in(unfinished).UnionAll(in(finished)).Scan(ctx, &rows) // each by an index of its own, and none by reading the rows
	counts := map[Phase]int{}
	for _, r := range rows {
		counts[r.Phase] = r.Count
	}
	return counts, found("count deployments", err)
}

// enter notes when the deployment came to the phase that it has now.
func (dep *Deployment) enter() {
	if n := len(dep.Entered); n == 0 || dep.Entered[n-1].Phase != dep.Phase {
		dep.Entered = append(dep.Entered, Entered{dep.Phase, now()})
	}
}

// CountUnfinished returns how many deployments wait for their turn, and how many are in progress.
func (d *DB) CountUnfinished(ctx context.Context) (queued, working int, err error) {
	var rows []struct {
		Phase Phase
		Count int
	}
	err = d.bun.NewSelect().Model((*Deployment)(nil)).ColumnExpr("phase, count(*) AS count").
		Where("phase IN (?)", bun.List(unfinished)).Group("phase").Scan(ctx, &rows)
	for _, r := range rows {
		if r.Phase == PhaseQueued {
			queued += r.Count
		} else {
			working += r.Count
		}
	}
	return queued, working, found("count deployments", err)
}

func (d *DB) deployments(ctx context.Context, which func(*bun.SelectQuery) *bun.SelectQuery) ([]Deployment, error) {
	var list []Deployment
	if err := which(d.bun.NewSelect().Model(&list)).Scan(ctx); err != nil {
		return nil, found("read deployments", err)
	}
	for i := range list {
		if err := list[i].unseal(d.keys); err != nil {
			return nil, fmt.Errorf("deployment %d: %w", list[i].ID, err)
		}
	}
	return list, nil
}
