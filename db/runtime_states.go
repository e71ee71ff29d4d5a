package db

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// RuntimeState is the single row of a workload that says what serves. It is written in the transaction that commits a
// deployment, and only there.
type RuntimeState struct {
	WorkloadID   int64 `bun:",pk"`
	DeploymentID int64
	ReleaseID    ReleaseID
	Commit       string  `bun:"commit_hash"`
	Runtime      string  // the release's, never ""
	Release      Release `bun:"-"`
	Sealed       []byte  // Release, sealed
	UpdatedAt    time.Time
}

// RuntimeDocker is what a workload runs on that names no runtime: the Docker of the process.
const RuntimeDocker = "docker"

const sealRelease = "release"

// RuntimeState returns what serves for a workload, or ErrNotFound when nothing was ever live.
func (d *DB) RuntimeState(ctx context.Context, workloadID int64) (RuntimeState, error) {
	list, err := d.runtimeStates(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("workload_id = ?", workloadID) })
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("read runtime state: %w", ErrNotFound)
	}
	if err != nil {
		return RuntimeState{}, err
	}
	return list[0], nil
}

// Unsettled are the workloads, by id, of which a deployment is in progress or that have given a host back which may still lead to them.
func (d *DB) Unsettled(ctx context.Context) (map[int64]bool, error) {
	var all []Deployment // with the queued ones: SQLite has an index of these together
	err := d.bun.NewSelect().Model(&all).Column("id", "workload_id", "phase").Where("phase IN (?)", bun.List(unfinished)).Order("id").Scan(ctx)
	var left []int64
	if err == nil {
		err = d.bun.NewSelect().Model((*hostClaim)(nil)).Column("workload_id").Where("leaving").Scan(ctx, &left)
	}
	some := map[int64]bool{}
	for _, dep := range all {
		if dep.Phase != PhaseQueued {
			some[dep.WorkloadID] = true
		}
	}
	for _, id := range left {
		some[id] = true
	}
	return some, found("read which workloads are on their way", err)
}

// RuntimeStates returns what serves, for every workload.
func (d *DB) RuntimeStates(ctx context.Context) ([]RuntimeState, error) {
	return d.runtimeStates(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Order("workload_id") })
}

func (d *DB) runtimeStates(ctx context.Context, which func(*bun.SelectQuery) *bun.SelectQuery) ([]RuntimeState, error) {
	var list []RuntimeState
	if err := which(d.bun.NewSelect().Model(&list)).Scan(ctx); err != nil {
		return nil, found("read runtime state", err)
	}
	for i := range list {
		if err := d.keys.open(list[i].Sealed, &list[i].Release, sealRelease); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (d *DB) saveRuntimeState(ctx context.Context, tx bun.Tx, s *RuntimeState) (err error) {
	if s.Sealed, err = d.keys.seal(s.Release, sealRelease); err != nil {
		return err
	}
	s.Runtime, s.UpdatedAt = s.Release.RuntimeKind(), now()
	_, err = tx.NewInsert().Model(s).
		On("CONFLICT (workload_id) DO UPDATE").
		Set("deployment_id = EXCLUDED.deployment_id, release_id = EXCLUDED.release_id, commit_hash = EXCLUDED.commit_hash").
		Set("runtime = EXCLUDED.runtime, sealed = EXCLUDED.sealed, updated_at = EXCLUDED.updated_at").
		Exec(ctx)
	return found("save runtime state", err)
}
