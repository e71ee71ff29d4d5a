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
	for {
		select {
		case <-ctx.Done():
			return <-watching
		case <-wake:
		case <-changed:
		case <-tick.C:
		}
		if err := r.Pass(ctx); err != nil && ctx.Err() == nil {
			r.Log.ErrorContext(ctx, "recovery", "error", err)
		}
	}
}

// Pass compares once. What goes wrong with one workload does not keep it from the others.
func (r *Recovery) Pass(ctx context.Context) error {
	// What exists is read before the rows that justify it: a release that is started meanwhile is not in the list, and one
	// that is in the list has had its row before.
	instances, err := r.Runtime.List(ctx)
	if err != nil {
		return errors.Join(err, r.routesWithoutRuntime(ctx))
	}
	workloads, err := r.DB.Workloads(ctx)
	if err != nil {
		return err
	}
	var errs []error
	known := map[int64]bool{}
	for _, w := range workloads {
		known[w.ID] = true
		if !r.busy.tryLock(w.ID) {
			continue
		}
		if err := r.workload(ctx, w, instances); err != nil {
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
	return errors.Join(errs...)
}

// workload makes one workload what its rows say. Its lock is held.
func (r *Recovery) workload(ctx context.Context, w db.Workload, instances []Instance) error {
	dep, err := r.inProgress(ctx, w.ID)
	if err != nil {
		return err
	}
	if w.DeletedAt != nil {
		if dep != nil {
			return nil // the runner undoes it first
		}
		return r.takeDown(ctx, w, instances)
	}
	if dep != nil && dep.Strategy == db.Recreate && dep.Phase != db.PhaseBuilding && !dep.Phase.Committed() {
		return r.keepWaiting(ctx, w) // blue may be stopped on purpose; the runner goes on, or starts it again
	}
	state, err := r.DB.RuntimeState(ctx, w.ID)
	switch {
	case errors.Is(err, db.ErrNotFound):
		if dep != nil {
			return nil
		}
		return errors.Join(r.emptyRoute(ctx, w), r.reap(ctx, w, "", instances))
	case err != nil:
		return err
	}
	if err := r.serve(ctx, w, state); err != nil {
		return err
	}
	if dep != nil { // its release and the one that it drains are not ours to judge
		return nil
	}
	return r.reap(ctx, w, state.ReleaseID, instances)
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

// serve makes what the runtime state row names run, and the route point to it.
func (r *Recovery) serve(ctx context.Context, w db.Workload, state db.RuntimeState) error {
	live, err := r.Runtime.Inspect(ctx, state.ReleaseID)
	if err != nil {
		return err
	}
	if live.State != Running {
		r.Log.WarnContext(ctx, "start what should run", "release", state.ReleaseID, "state", live.State, "exit_code", live.ExitCode)
		if live, err = r.Runtime.Start(ctx, state.Release); err != nil {
			return err
		}
	}
	route, routed := w.Route()
	if routed {
		if err := r.point(ctx, route, live.Upstream); err != nil {
			return err
		}
	}
	if state.Host == w.Host {
		return nil
	}
	if state.Host != "" {
		if err := r.Router.Delete(ctx, db.Route{WorkloadID: w.ID, Host: state.Host}); err != nil {
			return err
		}
	}
	return r.DB.SetRuntimeHost(ctx, w.ID, w.Host)
}

// point upserts a route that does not point there already.
func (r *Recovery) point(ctx context.Context, route db.Route, up Upstream) error {
	current, err := r.Router.Current(ctx, route)
	if err == nil && current == up {
		return nil
	}
	if err == nil {
		r.Log.InfoContext(ctx, "correct route", "host", route.Host, "was", current.Addr, "is", up.Addr)
	}
	return r.Router.Upsert(ctx, route, up)
}

// emptyRoute makes the host of a workload known that never had a release: it answers 503, and may get a certificate.
func (r *Recovery) emptyRoute(ctx context.Context, w db.Workload) error {
	route, routed := w.Route()
	if !routed {
		return nil
	}
	return r.point(ctx, route, Upstream{})
}

// keepWaiting makes the requests of a recreate that goes on wait for it, when the proxy was started again in its middle.
func (r *Recovery) keepWaiting(ctx context.Context, w db.Workload) error {
	route, routed := w.Route()
	if _, err := r.Router.Current(ctx, route); !routed || !errors.Is(err, ErrNoRoute) {
		return nil
	}
	if err := r.Router.Upsert(ctx, route, Upstream{}); err != nil {
		return err
	}
	if err := r.Router.Hold(ctx, route); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// reap removes the releases of a workload that nothing justifies: not live and not routed.
func (r *Recovery) reap(ctx context.Context, w db.Workload, live db.ReleaseID, instances []Instance) error {
	var routed Upstream
	if route, ok := w.Route(); ok {
		var err error
		if routed, err = r.Router.Current(ctx, route); err != nil && !errors.Is(err, ErrNoRoute) {
			return err
		}
	}
	var errs []error
	for _, i := range instances {
		if i.WorkloadID != w.ID || i.ID == live || string(i.ID) == routed.Name {
			continue
		}
		r.Log.InfoContext(ctx, "remove release that does not serve", "release", i.ID)
		errs = append(errs, r.Runtime.Remove(ctx, i.ID))
	}
	return errors.Join(errs...)
}

// takeDown ends a deleted workload: first its route, then its releases, then its rows.
func (r *Recovery) takeDown(ctx context.Context, w db.Workload, instances []Instance) error {
	if route, routed := w.Route(); routed {
		if err := r.Router.Delete(ctx, route); err != nil {
			return err
		}
	}
	for _, i := range instances {
		if i.WorkloadID != w.ID {
			continue
		}
		if err := r.Runtime.Remove(ctx, i.ID); err != nil {
			return err
		}
	}
	_, err := r.DB.PurgeWorkload(ctx, w.ID)
	return err
}

// routesWithoutRuntime makes every host known to the proxy while Docker is away, so that it answers 503 and not 404.
func (r *Recovery) routesWithoutRuntime(ctx context.Context) error {
	workloads, err := r.DB.Workloads(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, w := range workloads {
		route, routed := w.Route()
		if _, err := r.Router.Current(ctx, route); routed && w.DeletedAt == nil && errors.Is(err, ErrNoRoute) {
			errs = append(errs, r.Router.Upsert(ctx, route, Upstream{}))
		}
	}
	return errors.Join(errs...)
}
