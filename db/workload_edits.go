package db

import (
	"context"
	"errors"
	"time"

	"github.com/uptrace/bun"
)

var (
	// ErrWorkloadExists is returned by CreateWorkload when there is one of this name, even if it is being taken down.
	ErrWorkloadExists = errors.New("there is a workload of this name")

	// ErrStale is returned by ChangeWorkload when somebody else has changed the workload since it was read.
	ErrStale = errors.New("the workload was changed in the meantime")
)

// CreateWorkload inserts a workload and fills in ID. It returns ErrWorkloadExists, or ErrHostTaken when another
// workload has one of its hosts.
func (d *DB) CreateWorkload(ctx context.Context, w *Workload) error {
	if err := w.seal(d.keys); err != nil {
		return err
	}
	w.CreatedAt, w.UpdatedAt = now(), now()
	err := d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewInsert().Model(w).Returning("id").Exec(ctx); err != nil {
			if uniqueViolation(err) {
				return ErrWorkloadExists
			}
			return err
		}
		return claimHosts(ctx, tx, w)
	})
	if err == nil {
		d.notify(ctx, TopicWorkloads)
	}
	return found("create workload "+w.Name, err)
}

// ChangeWorkload saves a workload that was read at the version UpdatedAt: all but its id, name and repository. It returns
// ErrStale when the row is a newer one, ErrNotFound when it is deleted, or ErrHostTaken.
func (d *DB) ChangeWorkload(ctx context.Context, w *Workload) error {
	version := w.UpdatedAt
	if err := w.seal(d.keys); err != nil {
		return err
	}
	err := d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		var saved Workload
		q := tx.NewSelect().Model(&saved).Column("updated_at").Where("id = ? AND deleted_at IS NULL", w.ID)
		if err := d.forUpdate(q).Scan(ctx); err != nil {
			return err
		}
		if !saved.UpdatedAt.Equal(version) {
			return ErrStale
		}
		w.UpdatedAt = later(version)
		_, err := tx.NewUpdate().Model(w).Column("source", "ref_pattern", "paths", "host", "enabled", "runtime", "sealed", "updated_at").WherePK().Exec(ctx)
		if err != nil {
			return err
		}
		return claimHosts(ctx, tx, w)
	})
	if err != nil {
		w.UpdatedAt = version
		return found("change workload "+w.Name, err)
	}
	d.notify(ctx, TopicWorkloads)
	return nil
}

// later is now, and in any case after another time: a clock may stand still.
func later(than time.Time) time.Time {
	if t := now(); t.After(than) {
		return t
	}
	return than.Add(time.Microsecond)
}
