package db

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/uptrace/bun"
)

// Unoffered is a workload that nobody deploys, or takes down, as long as no process runs that offers all of its runtimes.
type Unoffered struct {
	WorkloadID int64
	Workload   string
	Runtimes   []string // what it is to run on, and what serves of it
}

// String says what is missing and what to do.
func (u Unoffered) String() string {
	kinds := strings.Join(u.Runtimes, " and ")
	return fmt.Sprintf("no running process deploys to %s: start one without --runtimes, or with %s in it", kinds, kinds)
}

// UnofferedWorkloads returns, by ID, those of which something is to be done and nobody does it. Own are the runtimes of who asks; who is
// no process itself has none, and learns nothing on SQLite, whose one process is not known to others.
func (d *DB) UnofferedWorkloads(ctx context.Context, own ...string) ([]Unoffered, error) {
	return d.unoffered(ctx, own, func(q *bun.SelectQuery) *bun.SelectQuery { return q })
}

// UnofferedWorkload is one of UnofferedWorkloads, or nil.
func (d *DB) UnofferedWorkload(ctx context.Context, id int64, own ...string) (*Unoffered, error) {
	list, err := d.unoffered(ctx, own, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("w.id = ?", id) })
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

func (d *DB) unoffered(ctx context.Context, own []string, which func(*bun.SelectQuery) *bun.SelectQuery) (list []Unoffered, err error) {
	if len(own) == 0 && !d.postgres() {
		return nil, nil
	}
	there, err := d.LivingProcesses(ctx)
	if err != nil {
		return nil, err
	}
	there = append(there, Process{Runtimes: own})
	var waits []struct {
		ID             int64
		Name           string
		Runtime, Serve string
	}
	open := d.bun.NewSelect().Model((*Deployment)(nil)).Column("workload_id").Where("phase IN (?)", bun.List(unfinished))
	kept := d.bun.NewSelect().Model((*Deployment)(nil)).Column("workload_id").Where("phase IN (?) AND lease_until >= ?", bun.List(unfinished), d.ago(0))
	err = d.bun.NewSelect().TableExpr("workloads AS w").Join("LEFT JOIN runtime_states AS s ON s.workload_id = w.id").
		ColumnExpr("w.id, w.name, w.runtime, COALESCE(s.runtime, w.runtime) AS serve").
		Where("(w.id IN (?) OR w.deleted_at IS NOT NULL) AND w.id NOT IN (?)", open, kept).Apply(which).Order("w.id").Scan(ctx, &waits)
	if err != nil {
		return nil, found("read what nobody deploys", err)
	}
	for _, w := range waits {
		needs := slices.Compact([]string{w.Runtime, w.Serve})
		if !slices.ContainsFunc(there, func(p Process) bool { return p.offers(needs) }) {
			list = append(list, Unoffered{w.ID, w.Name, needs})
		}
	}
	return list, nil
}

func (p *Process) offers(kinds []string) bool {
	return !slices.ContainsFunc(kinds, func(kind string) bool { return !slices.Contains(p.Runtimes, kind) })
}
