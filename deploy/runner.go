package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tinyforge/db"
)

// Runner works off the queue: it claims deployments and takes each through the phases of its strategy.
type Runner struct {
	*Deployer
	owner string
}

// NewRunner makes a runner. Owner names the process in leases.
func NewRunner(d *Deployer, owner string) *Runner {
	d.Config = d.Config.withDefaults()
	return &Runner{Deployer: d, owner: owner}
}

// Run works until ctx is done. Then the steps in progress are told to stop, their deployments are handed over to the next
// process as they are, and it returns. Before Known it claims nothing: another process may do that.
func (r *Runner) Run(ctx context.Context) error {
	if r.known() != nil {
		select {
		case <-r.Known:
		case <-ctx.Done():
			return nil
		}
	}
	var workers errgroup.Group
	for range r.Config.Workers {
		workers.Go(func() error { r.worker(ctx); return nil })
	}
	workers.Go(func() error { r.tellUnoffered(ctx); return nil })
	return workers.Wait()
}

func (r *Runner) worker(ctx context.Context) {
	wake, cancel := r.DB.Subscribe(db.TopicQueued)
	defer cancel()
	poll := time.NewTicker(r.Config.Poll)
	defer poll.Stop()
	for ctx.Err() == nil {
		begun := time.Now() // the lease counts from before the claim, which may take long
		dep, err := r.DB.Claim(ctx, r.owner, r.Config.Lease, r.Offers...)
		if err == nil && dep != nil {
			r.work(ctx, dep, begun.Add(r.Config.Lease))
			continue
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, db.ErrAway) { // that is said elsewhere, once
			r.Log.ErrorContext(ctx, "claim deployment", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-poll.C:
		}
	}
}

// work takes one claimed deployment, whose lease expires then unless it is renewed, as far as it gets.
func (r *Runner) work(ctx context.Context, dep *db.Deployment, expires time.Time) {
	lease := *dep // the worker changes its own
	leased, stop := context.WithCancelCause(ctx)
	wanted, cancel := context.WithCancel(leased)
	var keeper sync.WaitGroup
	defer keeper.Wait()
	defer stop(nil)
	keeper.Go(func() { r.keepLease(leased, stop, cancel, lease, expires) })
	log := r.Log.With("deployment", dep.ID, "workload", r.nameOf(leased, dep.WorkloadID), "commit", dep.Commit)

	r.leases.Store(lease.LeaseOwner, true)
	defer r.leases.Delete(lease.LeaseOwner)
	err := r.busy.lock(leased, dep.WorkloadID) // the recovery may look at this workload; it will not be long
	if err == nil {
		defer r.busy.unlock(dep.WorkloadID)
		err = r.deploy(leased, wanted, dep)
	}
	switch {
	case err == nil:
		log.InfoContext(ctx, "deployment finished", "phase", dep.Phase, "reason", dep.Error)
	case errors.Is(context.Cause(leased), db.ErrLeaseLost), errors.Is(err, db.ErrLeaseLost):
		log.WarnContext(ctx, "deployment was taken over by another process", "phase", dep.Phase)
	case ctx.Err() != nil:
		log.InfoContext(ctx, "deployment handed over", "phase", dep.Phase)
		r.handOver(ctx, dep)
	default: // the database does not answer: nothing may be done that is not written down first
		log.ErrorContext(ctx, "deployment interrupted; it goes on when its lease is over", "phase", dep.Phase, "error", err)
	}
}

// nameOf is the name of a workload, or its number where that is not known.
func (r *Runner) nameOf(ctx context.Context, id int64) string {
	if w, err := r.DB.Workload(ctx, id); err == nil {
		return w.Name
	}
	return fmt.Sprint(id)
}

// keepLease renews the lease until ctx is done, calls cancel when somebody asked for the deployment's end, and stop when the
// lease is lost, or could not be renewed before it expired. It has the row as it was claimed; the worker goes on with its own.
func (r *Runner) keepLease(ctx context.Context, stop context.CancelCauseFunc, cancel func(), dep db.Deployment, expires time.Time) {
	asked, unsubscribe := r.DB.Subscribe(db.TopicCancel)
	defer unsubscribe()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(r.Config.Lease/4, time.Until(expires)/2)):
		case <-asked:
		}
		begun := time.Now() // the database's answer may take long
		renewing, done := context.WithDeadline(ctx, expires)
		err := r.DB.Renew(renewing, &dep, r.Config.Lease)
		done()
		if dep.Cancelled {
			cancel()
		}
		switch {
		case err == nil:
			expires = begun.Add(r.Config.Lease)
		case errors.Is(err, db.ErrLeaseLost), time.Now().After(expires):
			stop(db.ErrLeaseLost)
			return
		}
	}
}

func (r *Runner) handOver(ctx context.Context, dep *db.Deployment) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := r.DB.HandOver(ctx, dep); err != nil {
		r.Log.WarnContext(ctx, "hand deployment over; it goes on when its lease is over", "deployment", dep.ID, "error", err)
	}
}

// deploy loops over the table of phases. wanted is done when the deployment was cancelled. An error means that it is not
// finished: ctx is done, or the database failed.
func (r *Runner) deploy(ctx, wanted context.Context, dep *db.Deployment) error {
	j, err := r.newJob(ctx, dep)
	if err != nil {
		return err
	}
	defer j.log.Close()
	j.wanted = wanted
	ctx = WithLease(WithWaits(ctx, j.waits), dep.ID, dep.LeaseOwner)

	was, next := dep.Phase, j.begin()
	if dep.Attempt > 1 || was != db.PhaseBuilding {
		r.Log.InfoContext(ctx, "deployment goes on", "deployment", dep.ID, "workload", j.workload.Name, "was", was, "phase", next)
		j.log.Printf("Tinyforge ended while %s: it goes on with %s", was, next)
	}
	if next != db.PhaseBuilding || dep.Attempt > 1 { // else the claim has just written it down
		if err := j.enter(ctx, next); err != nil {
			return err
		}
	}
	for !dep.Phase.Final() {
		s, err := stepOf(dep.Strategy, dep.Phase)
		if err != nil {
			return err
		}
		j.at(s.phase, "before")
		err = j.bounded(ctx, s)
		j.at(s.phase, "after")
		if err == nil {
			if err = j.pass(ctx); err == nil {
				continue
			}
			if !errors.Is(err, db.ErrCancelled) {
				return err
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := j.enter(ctx, j.failed(ctx, err)); err != nil {
			return err
		}
	}
	return nil
}

// newJob reads what the steps need to know.
func (r *Runner) newJob(ctx context.Context, dep *db.Deployment) (*job, error) {
	workload, err := r.DB.Workload(ctx, dep.WorkloadID)
	if err != nil {
		return nil, err
	}
	repo, err := r.DB.Repository(ctx, dep.RepositoryID)
	if err != nil {
		return nil, err
	}
	j := &job{Deployer: r.Deployer, dep: dep, workload: workload, repo: repo}
	state, err := r.DB.RuntimeState(ctx, dep.WorkloadID)
	switch {
	case err == nil && state.DeploymentID != dep.ID:
		j.blue = &state
	case err != nil && !errors.Is(err, db.ErrNotFound):
		return nil, fmt.Errorf("read what serves: %w", err)
	}
	j.Runtime = within(r.Runtime, j.kinds())
	forge, err := r.DB.Forge(ctx, repo.ForgeID)
	if err != nil {
		return nil, err
	}
	j.learn(slices.Concat(workload.Secrets(), forge.Credentials.Secrets()))
	if j.blue != nil {
		j.learn(j.blue.Release.Secrets())
	}
	if dep.Release != nil {
		j.learn(dep.Release.Secrets())
	}
	j.log = newLogWriter(ctx, r.DB, r.Log, dep, j.redactor)
	return j, nil
}
