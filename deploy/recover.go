package deploy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tinyforge/db"
)

// Recovery keeps releases and routes what the rows say: after a restart, after Docker came back, after a container was
// started again by its restart policy and got another address, and when a workload's host changed or it was deleted.
// It leaves a workload alone while the runner works on it.
type Recovery struct{ *Deployer }

// NewRecovery makes a recovery.
func NewRecovery(d *Deployer) *Recovery {
	d.Config = d.Config.withDefaults()
	return &Recovery{d}
}

// Run makes a pass whenever something may have changed, until ctx is done.
func (r *Recovery) Run(ctx context.Context) error {
	wake, cancel := r.DB.Subscribe(db.TopicWorkloads)
	defer cancel()
	changed := make(chan struct{}, 1)
	watching := make(chan error, 1)
	go func() {
		watching <- r.Runtime.Watch(ctx, func(db.ReleaseID) {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
	}()
	tick := time.NewTicker(r.Config.Reconcile)
	defer tick.Stop()
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return <-watching
		case <-wake:
		case <-changed:
		case <-again:
		case <-tick.C:
		}
		skipped, err := r.pass(ctx)
		if err != nil && ctx.Err() == nil {
			r.Log.ErrorContext(ctx, "recovery", "error", err)
		}
		if again = nil; skipped { // what woke us may be about a workload that the runner was busy with
			again = time.After(skippedAgain)
		}
	}
}

const (
	skippedAgain  = time.Second
	workloadLimit = 2 * time.Minute // for what is done to one workload in a pass
)

// Pass compares once. What goes wrong with one workload does not keep it from the others.
func (r *Recovery) Pass(ctx context.Context) error {
	_, err := r.pass(ctx)
	return err
}

// pass reports whether a workload was skipped because the runner works on it.
func (r *Recovery) pass(ctx context.Context) (skipped bool, err error) {
	errs := []error{r.knowHosts(ctx)}
	// What exists is read before the rows that justify it: a release that is started meanwhile is not in the list, and one
	// that is in the list has had its row before.
	instances, err := r.Runtime.List(ctx)
	if err != nil {
		return false, errors.Join(append(errs, err)...)
	}
	workloads, err := r.DB.Workloads(ctx)
	if err != nil {
		return false, err
	}
	known := map[int64]bool{}
	for _, w := range workloads {
		known[w.ID] = true
		if !r.busy.tryLock(w.ID) {
			skipped = true
			continue
		}
		if err := r.workload(ctx, w.ID, instances); err != nil {
			errs = append(errs, fmt.Errorf("workload %s: %w", w.Name, err))
		}
		r.busy.unlock(w.ID)
	}
	for _, i := range instances {
		if !known[i.WorkloadID] {
			r.Log.InfoContext(ctx, "remove release of a workload that is gone", "release", i.ID)
			errs = append(errs, r.Runtime.Remove(ctx, i.ID))
		}
	}
	return skipped, errors.Join(errs...)
}

// knowHosts makes every host known to the proxy before anything that may take long, so that it answers 503 and not 404.
func (r *Recovery) knowHosts(ctx context.Context) error {
	workloads, err := r.DB.Workloads(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, w := range workloads {
		for _, route := range w.Routes() {
			if _, err := r.Router.Current(ctx, route); errors.Is(err, ErrNoRoute) {
				errs = append(errs, r.Router.Upsert(ctx, route, Upstream{}))
			}
		}
	}
	return errors.Join(errs...)
}

// workload makes one workload what its rows say. Its lock is held. Its row is read again: the pass may have been at others
// for long.
func (r *Recovery) workload(ctx context.Context, id int64, seen []Instance) error {
	ctx, cancel := context.WithTimeout(ctx, workloadLimit)
	defer cancel()
	w, err := r.DB.Workload(ctx, id)
	if errors.Is(err, db.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	dep, err := r.inProgress(ctx, w.ID)
	if err != nil {
		return err
	}
	if w.DeletedAt != nil {
		if dep != nil {
			return nil // the runner undoes it first
		}
		return r.takeDown(ctx, w, seen)
	}
	state, err := r.DB.RuntimeState(ctx, w.ID)
	if dep != nil && inPlace(*dep, state) && dep.Phase != db.PhaseBuilding && !dep.Phase.Committed() {
		return r.keepWaiting(ctx, w) // blue may be stopped, or half replaced, on purpose; the runner goes on, or starts it again
	}
	switch {
	case errors.Is(err, db.ErrNotFound):
		if dep != nil {
			return nil
		}
		// The hosts of a workload that never had a release are known: they answer 503, and may get certificates.
		return errors.Join(r.point(ctx, w, Upstream{}), r.leaveHosts(ctx, w), r.reap(ctx, w, "", seen))
	case err != nil:
		return err
	case dep == nil:
		if err := r.serve(ctx, w, state, seen); err != nil {
			return err
		}
		return r.reap(ctx, w, state.ReleaseID, seen)
	case dep.Phase != db.PhaseBuilding && !dep.Phase.Committed() && dep.LeaseUntil.After(time.Now()):
		return r.serveMeanwhile(ctx, w, state)
	}
	return r.serve(ctx, w, state, nil) // the deployment's release and the one that it drains are not ours to judge
}

func (r *Recovery) inProgress(ctx context.Context, workloadID int64) (*db.Deployment, error) {
	dep, err := r.DB.InProgress(ctx, workloadID)
	switch {
	case errors.Is(err, db.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &dep, nil
}

// serve makes what the runtime state row names run, and the routes point to it. A route that cannot be moved keeps nothing
// else from it.
func (r *Recovery) serve(ctx context.Context, w db.Workload, state db.RuntimeState, seen []Instance) error {
	live, err := r.Runtime.Inspect(ctx, state.ReleaseID)
	if err != nil {
		return err
	}
	var errs []error
	if live.State != Running || live.Upstream.Addr == "" {
		errs = append(errs, r.point(ctx, w, live.Upstream)) // the address it had may be somebody else's by now
		r.Log.WarnContext(ctx, "start what should run", "release", state.ReleaseID, "state", live.State, "exit_code", live.ExitCode)
		if live, err = r.startAgain(ctx, w, state.Release, seen); err == nil {
			w, err = r.DB.Workload(ctx, w.ID) // hosts and options may be others by now
		}
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
	}
	return errors.Join(append(errs, r.point(ctx, w, live.Upstream), r.leaveHosts(ctx, w))...)
}

// serveMeanwhile points those of the workload's routes that lead nowhere to what serves, and touches no other: a deployment
// in the hands of another process moves them.
func (r *Recovery) serveMeanwhile(ctx context.Context, w db.Workload, state db.RuntimeState) error {
	live, err := r.Runtime.Inspect(ctx, state.ReleaseID)
	if err != nil || live.Upstream.Addr == "" {
		return err
	}
	var errs []error
	for _, route := range w.Routes() {
		if current, err := r.Router.Current(ctx, route); current == (Upstream{}) && (err == nil || errors.Is(err, ErrNoRoute)) {
			errs = append(errs, r.Router.Upsert(ctx, route, live.Upstream))
		}
	}
	return errors.Join(errs...)
}

// startAgain starts the live release, alone, since a volume may be written by one release at a time.
func (r *Recovery) startAgain(ctx context.Context, w db.Workload, release db.Release, seen []Instance) (Instance, error) {
	for _, i := range seen {
		if i.WorkloadID == w.ID && i.ID != release.ID && i.State == Running {
			if err := r.Runtime.Stop(ctx, i.ID); err != nil {
				return Instance{}, err
			}
		}
	}
	if _, err := r.Runtime.Start(ctx, release); err != nil {
		return Instance{}, err
	}
	g := gate{runtime: r.Runtime, release: release, host: w.Host}
	if err := g.accepts(ctx, blueStart/2); err != nil {
		r.Log.WarnContext(ctx, "what was started again is not ready", "release", release.ID, "error", err)
	}
	return r.Runtime.Inspect(ctx, release.ID)
}

// leaveHosts takes the routes away of hosts that the workload has no more, unless another one has them by now.
func (r *Recovery) leaveHosts(ctx context.Context, w db.Workload) error {
	leaving, err := r.DB.LeavingHosts(ctx, w.ID)
	if err != nil {
		return err
	}
	for _, host := range leaving {
		if err := r.Router.Delete(ctx, db.Route{WorkloadID: w.ID, Host: host}); err != nil {
			return err
		}
		if err := r.DB.ForgetHost(ctx, w.ID, host); err != nil {
			return err
		}
	}
	return nil
}

// point upserts the workload's routes. Where one points there already that does nothing but release requests that are kept
// waiting, and change the options. One that cannot be upserted does not keep the others from it.
func (r *Recovery) point(ctx context.Context, w db.Workload, up Upstream) error {
	var errs []error
	for _, route := range w.Routes() {
		if current, err := r.Router.Current(ctx, route); err == nil && current != up {
			r.Log.InfoContext(ctx, "correct route", "host", route.Host, "was", current.Addr, "is", up.Addr)
		}
		errs = append(errs, r.Router.Upsert(ctx, route, up))
	}
	return errors.Join(errs...)
}

// inPlace tells whether a deployment ends what serves before its own release runs.
func inPlace(dep db.Deployment, state db.RuntimeState) bool {
	return dep.Strategy == db.Recreate || dep.Strategy == db.Stack && state.Release.Stack != nil
}

// keepWaiting makes the requests of a deployment in place that goes on wait for it, when the proxy was started again in its
// middle.
func (r *Recovery) keepWaiting(ctx context.Context, w db.Workload) error {
	for _, route := range w.Routes() {
		current, err := r.Router.Current(ctx, route)
		switch {
		case err != nil:
			return err
		case current != Upstream{}:
			continue
		}
		if err := r.Router.Hold(ctx, route); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return nil
}

// reap removes the releases of a workload that nothing justifies: not live and not routed.
func (r *Recovery) reap(ctx context.Context, w db.Workload, live db.ReleaseID, seen []Instance) error {
	keep := map[string]bool{string(live): true}
	for _, route := range w.Routes() {
		routed, err := r.Router.Current(ctx, route)
		if err != nil && !errors.Is(err, ErrNoRoute) {
			return err
		}
		keep[routed.Name] = true
	}
	var errs []error
	for _, i := range seen {
		if i.WorkloadID != w.ID || keep[string(i.ID)] {
			continue
		}
		r.Log.InfoContext(ctx, "remove release that does not serve", "release", i.ID)
		errs = append(errs, r.Runtime.Remove(ctx, i.ID))
	}
	return errors.Join(errs...)
}

// takeDown ends a deleted workload: first its routes, then its releases, then its rows.
func (r *Recovery) takeDown(ctx context.Context, w db.Workload, seen []Instance) error {
	if err := r.leaveHosts(ctx, w); err != nil {
		return err
	}
	for _, i := range seen {
		if i.WorkloadID != w.ID {
			continue
		}
		if err := r.Runtime.Remove(ctx, i.ID); err != nil {
			return err
		}
	}
	if w.VolumesToo {
		if now, err := r.DB.Workload(ctx, w.ID); err != nil || now.DeletedAt == nil { // it may have come back
			return err
		}
		if err := r.Runtime.RemoveVolumes(ctx, w.Name); err != nil {
			return err
		}
	}
	_, err := r.DB.PurgeWorkload(ctx, w.ID)
	return err
}
