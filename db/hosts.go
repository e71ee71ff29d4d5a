package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/uptrace/bun"
)

// hostClaim is a row of the table in which each host stands once: whose it is. One that its workload has given back stays,
// leaving, until its route is gone or another workload claims it.
type hostClaim struct {
	bun.BaseModel `bun:"table:hosts"`

	Host       string `bun:",pk"`
	WorkloadID int64
	Leaving    bool
}

// claimHosts makes the workload's hosts its own, and no others. In order, so that two that want the same hosts do not wait
// for each other.
func claimHosts(ctx context.Context, tx bun.Tx, w *Workload) error {
	if err := leaveHosts(ctx, tx, w.ID); err != nil {
		return err
	}
	hosts := w.Hosts()
	slices.Sort(hosts)
	for _, host := range slices.Compact(hosts) {
		claimed, err := affected(tx.NewRaw("INSERT INTO hosts AS claim (host, workload_id, leaving) VALUES (?, ?, FALSE) "+
			"ON CONFLICT (host) DO UPDATE SET workload_id = EXCLUDED.workload_id, leaving = FALSE "+
			"WHERE claim.leaving", host, w.ID).Exec(ctx))
		if err != nil {
			return err
		}
		if !claimed {
			return hostTaken(ctx, tx, host)
		}
	}
	return nil
}

func hostTaken(ctx context.Context, tx bun.Tx, host string) error {
	taken := &HostTakenError{Host: host}
	err := tx.NewSelect().Model((*Workload)(nil)).Column("name").
		Where("id = (SELECT workload_id FROM hosts WHERE host = ?)", host).Scan(ctx, &taken.Workload)
	switch {
	case errors.Is(err, sql.ErrNoRows): // given back since
		return fmt.Errorf("%s: %w", host, ErrHostTaken)
	case err != nil:
		return err
	}
	return taken
}

// leaveHosts gives all hosts of a workload back.
func leaveHosts(ctx context.Context, tx bun.Tx, workloadID int64) error {
	_, err := tx.NewUpdate().Model((*hostClaim)(nil)).Set("leaving = TRUE").Where("workload_id = ?", workloadID).Exec(ctx)
	return err
}

// WorkloadOfHost returns the name of the workload that has a host, "" when none has.
func (d *DB) WorkloadOfHost(ctx context.Context, host string) (name string, err error) {
	err = d.bun.NewSelect().Model((*Workload)(nil)).Column("name").
		Where("id = (SELECT workload_id FROM hosts WHERE host = ? AND NOT leaving)", host).Scan(ctx, &name)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return name, found("read whose host it is", err)
}

// HostsOf returns the hosts that a workload has, in order.
func (d *DB) HostsOf(ctx context.Context, workloadID int64) (hosts []string, err error) {
	err = d.bun.NewSelect().Model((*hostClaim)(nil)).Column("host").
		Where("workload_id = ? AND NOT leaving", workloadID).Order("host").Scan(ctx, &hosts)
	return hosts, found("read hosts", err)
}

// LeavingHosts returns the hosts that the workload has given back, whose routes may still lead to it, and which nobody else
// has claimed.
func (d *DB) LeavingHosts(ctx context.Context, workloadID int64) (hosts []string, err error) {
	err = d.bun.NewSelect().Model((*hostClaim)(nil)).Column("host").
		Where("workload_id = ? AND leaving", workloadID).Order("host").Scan(ctx, &hosts)
	return hosts, found("read leaving hosts", err)
}

// ForgetHost ends a host's leaving: its route is gone. One that was claimed since stays claimed.
func (d *DB) ForgetHost(ctx context.Context, workloadID int64, host string) error {
	_, err := d.bun.NewDelete().Model((*hostClaim)(nil)).
		Where("host = ? AND workload_id = ? AND leaving", host, workloadID).Exec(ctx)
	return found("forget host", err)
}
