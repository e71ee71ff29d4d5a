package db

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/uptrace/bun"
)

// Part tells which deployments of a workload History returns.
type Part struct {
	WorkloadID int64
	Phases     []Phase // none means all
	Ref        string  // "" means any; else the full ref, or what comes after "refs/heads/" or "refs/tags/"
	Before     int64   // older than the one with this id; 0 means from the newest on
	Limit      int
}

// Released are the phases of a deployment whose release served, or serves.
func Released() []Phase { return slices.Clone(good) }

// Unfinished are the phases of a deployment in which something is still to be done.
func Unfinished() []Phase { return slices.Clone(unfinished) }

// History returns deployments, newest first, without Release and Tail.
func (d *DB) History(ctx context.Context, p Part) ([]Deployment, error) {
	if p.Ref != "" {
		ref, err := d.fullRef(ctx, p.WorkloadID, p.Ref)
		if errors.Is(err, ErrNotFound) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		p.Ref = ref
	}
	if len(p.Phases) == 0 {
		return d.history(ctx, p, "")
	}
	// Each phase by itself is found by the index in order, however rare it is.
	var all []Deployment
	for _, phase := range p.Phases {
		list, err := d.history(ctx, p, phase)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	slices.SortFunc(all, func(a, b Deployment) int { return cmp.Compare(b.ID, a.ID) })
	return all[:min(len(all), p.Limit)], nil
}

func (d *DB) history(ctx context.Context, p Part, phase Phase) ([]Deployment, error) {
	return d.deployments(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		q = q.ExcludeColumn("sealed", "tail").Where("workload_id = ?", p.WorkloadID).Order("id DESC").Limit(int64(p.Limit))
		if phase != "" {
			q = q.Where("phase = ?", phase)
		}
		if p.Ref != "" {
			q = q.Where("ref = ?", p.Ref)
		}
		if p.Before > 0 {
			q = q.Where("id < ?", p.Before)
		}
		return q
	})
}

// fullRef finds the ref that a short name stands for among those that were deployed.
func (d *DB) fullRef(ctx context.Context, workloadID int64, name string) (ref string, err error) {
	err = d.bun.NewSelect().Model((*Deployment)(nil)).Column("ref").
		Where("workload_id = ? AND ref IN (?)", workloadID, bun.List([]string{name, "refs/heads/" + name, "refs/tags/" + name})).
		Limit(1).Scan(ctx, &ref)
	return ref, found("read ref", err)
}

// DeployedCommit returns the newest deployment of a workload, of its last 500, whose commit begins with some hexadecimal
// digits, or ErrNotFound.
func (d *DB) DeployedCommit(ctx context.Context, workloadID int64, prefix string) (Deployment, error) {
	recent := d.bun.NewSelect().Model((*Deployment)(nil)).Column("id").Where("workload_id = ?", workloadID).Order("id DESC").Limit(500)
	list, err := d.deployments(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.ExcludeColumn("sealed", "tail").Where("id IN (SELECT id FROM (?) AS recent)", recent).
			Where("substr(commit_hash, 1, ?) = ?", len(prefix), prefix).Order("id DESC").Limit(1)
	})
	if err == nil && len(list) == 0 {
		err = found("read deployed commit", ErrNotFound)
	}
	if err != nil {
		return Deployment{}, err
	}
	return list[0], nil
}
