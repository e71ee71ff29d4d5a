package deploy

import (
	"context"
	"time"

	"tinyforge/db"
)

// PhasesOf returns the phases of every strategy, undoing included.
func PhasesOf() map[db.Strategy][]db.Phase {
	all := map[db.Strategy][]db.Phase{}
	for strategy, steps := range strategies {
		for _, s := range append(steps[:len(steps):len(steps)], undoing) {
			all[strategy] = append(all[strategy], s.phase)
		}
	}
	return all
}

// Own says that the runner works on what is under a lease.
func (d *Deployer) Own(leaseOwner string) { d.leases.Store(leaseOwner, true) }

// Work does what a worker does with a deployment that it has claimed.
func (r *Runner) Work(ctx context.Context, dep *db.Deployment, expires time.Time) {
	r.work(ctx, dep, expires)
}

// PassSkips is Pass, and tells whether another one is to follow soon.
func (r *Recovery) PassSkips(ctx context.Context) (bool, error) { return r.pass(ctx) }

// Renew is what goes on while a workload is kept that nobody else may touch until then.
func (r *Recovery) Renew(ctx context.Context, id int64, owner string, expires time.Time) {
	r.renew(ctx, id, owner, expires)
}

// Lend is what a runner does that has a workload and lends it.
func (d *Deployer) Lend(workloadID int64, do func() error) error {
	j := &job{Deployer: d}
	j.workload.ID = workloadID
	return j.lend(do)
}

// Lock keeps a workload as a runner does that works on it.
func (d *Deployer) Lock(workloadID int64) (unlock func()) {
	if !d.busy.tryLock(workloadID) {
		panic("it is locked")
	}
	return func() { d.busy.unlock(workloadID) }
}

// HealedAtOnce is how many workloads a pass looks at at a time.
const HealedAtOnce = healedAtOnce
