package deploy

import "tinyforge/db"

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

// Lock keeps a workload as a runner does that works on it.
func (d *Deployer) Lock(workloadID int64) (unlock func()) {
	if !d.busy.tryLock(workloadID) {
		panic("it is locked")
	}
	return func() { d.busy.unlock(workloadID) }
}
