package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tinyforge/db"
)

// Recovery keeps releases and routes what the rows say: after a restart, after Docker came back, after a container was
// started again by its restart policy and got another address, and when a workload's host changed or it was deleted.
// It leaves a workload alone while the runner works on it and has not lent it. What it does about a workload stands in decide.go.
type Recovery struct {
	*Deployer

	said  sync.Map     // by the id of a workload: what cannot be mended, which is logged once
	hosts sync.RWMutex // held alone while hosts are given back, so that none is pointed for its next workload and deleted then
}

// NewRecovery makes a recovery.
func NewRecovery(d *Deployer) *Recovery {
	if c := d.Config.withDefaults(); c != d.Config { // a runner that has it already may read it now
		d.Config = c
	}
	return &Recovery{Deployer: d}
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
	known := r.Known
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return <-watching
		case <-wake:
		case <-changed:
		case <-known:
			known = nil
		case <-again:
		case <-tick.C:
		}
		skipped, _ := r.pass(ctx)
		if again = nil; skipped { // what woke us may be about a workload that the runner was busy with
			again = time.After(skippedAgain)
		}
	}
}

const (
	skippedAgain  = time.Second
	workloadLimit = 2 * time.Minute // for what is done to one workload in a pass
	healedAtOnce  = 8               // as many as there are connections to the database
)

// Pass compares once. What goes wrong with one workload does not keep it from the others.
func (r *Recovery) Pass(ctx context.Context) error {
	_, err := r.pass(ctx)
	return err
}

// pass reports whether a workload was skipped because a runner works on it.
func (r *Recovery) pass(ctx context.Context) (skipped bool, err error) {
	skipped, errs, err := r.round(ctx)
	r.complain(ctx, 0, err)
	return skipped, errors.Join(append(errs, err)...)
}

// round returns what went wrong with workloads, which it has logged, apart from the rest.
func (r *Recovery) round(ctx context.Context) (skipped bool, ofWorkloads []error, err error) {
	targets, err := r.knowHosts(ctx)
	errs := []error{err}
	// What exists is read before the rows that justify it: a release that is started meanwhile is not in the list, and one
	// that is in the list has had its row before.
	runtime, away, instances, err := r.answering(ctx)
	errs = append(errs, err)
	if runtime == nil {
		return false, nil, errors.Join(errs...)
	}
	workloads, err := r.DB.Workloads(ctx)
	if err != nil {
		return false, nil, errors.Join(append(errs, err)...)
	}
	s, err := r.newSurvey(ctx, targets, instances, away)
	if err != nil {
		return false, nil, errors.Join(append(errs, err)...)
	}
	known := map[int64]bool{}
	for _, w := range workloads {
		known[w.ID] = true
	}
	skipped, ofWorkloads = r.healAll(ctx, workloads, s, runtime)
	for _, i := range instances {
		if !known[i.WorkloadID] {
			r.Log.InfoContext(ctx, "remove release of a workload that is gone", "release", i.ID)
			errs = append(errs, runtime.Remove(ctx, i.ID))
		}
	}
	return skipped, ofWorkloads, errors.Join(errs...)
}

// answering lists what exists in runtime, which is all of it that answers; away are the kinds that do not. runtime is nil where none does,
// or none may be touched yet.
func (r *Recovery) answering(ctx context.Context) (runtime Runtime, away []string, list []Instance, err error) {
	if err := r.known(); err != nil {
		return nil, nil, nil, err
	}
	list, err = r.Runtime.List(ctx)
	some, partial := errors.AsType[*Away](err)
	all, several := r.Runtime.(Runtimes)
	switch {
	case err == nil:
		return r.Runtime, nil, list, nil
	case !partial || !several || len(some.Kinds) == len(all):
		return nil, nil, nil, err
	}
	there := slices.DeleteFunc(all.Kinds(), func(kind string) bool { return slices.Contains(some.Kinds, kind) })
	return within(all, there), some.Kinds, list, err
}

// healAll heals several workloads at a time, none of them twice; the errors are in the order of the workloads.
func (r *Recovery) healAll(ctx context.Context, workloads []db.Workload, s *survey, runtime Runtime) (skipped bool, errs []error) {
	var busy atomic.Bool
	var group errgroup.Group
	group.SetLimit(healedAtOnce)
	errs = make([]error, len(workloads))
	for n, w := range workloads {
		if s.settled(w) {
			r.complain(ctx, w.ID, nil)
			continue
		}
		group.Go(func() error {
			if !r.busy.tryLock(w.ID) {
				busy.Store(true)
				return nil
			}
			defer r.busy.unlock(w.ID)
			err := r.heal(ctx, w.ID, s.seen[w.ID], runtime, s.away)
			if errors.Is(err, db.ErrMoved) { // by another process, under a lease
				busy.Store(true)
				return nil
			}
			if errors.Is(err, errKept) { // the next tick looks again
				return nil
			}
			if err != nil {
				errs[n] = fmt.Errorf("workload %s: %w", w.Name, err)
			}
			r.complain(ctx, w.ID, errs[n])
			return nil
		})
	}
	_ = group.Wait()
	return busy.Load(), errs
}

// complain logs what cannot be mended once, until it is another thing or over. About is a workload's id, 0 for no workload.
func (r *Recovery) complain(ctx context.Context, about int64, err error) {
	if err == nil {
		if said, before := r.said.LoadAndDelete(about); before {
			r.Log.InfoContext(ctx, "recovery: that is over", "error", said)
		}
		return
	}
	if said, _ := r.said.Swap(about, err.Error()); said != err.Error() && ctx.Err() == nil {
		r.Log.ErrorContext(ctx, "recovery", "error", err)
	}
}

// knowHosts makes every host known to the proxy before anything that may take long, so that it answers 503 and not 404. It returns
// where all routes led before, nil where the proxy does not tell.
func (r *Recovery) knowHosts(ctx context.Context) (map[string]Target, error) {
	router, err := r.since(ctx)
	if err != nil {
		return nil, err
	}
	workloads, err := r.DB.Workloads(ctx)
	if err != nil {
		return nil, err
	}
	var routes []db.Route
	for _, w := range workloads {
		routes = append(routes, w.Routes()...)
	}
	if len(routes) == 0 { // then it is nothing to anybody whether the proxy answers
		return map[string]Target{}, nil
	}
	targets, err := listTargets(ctx, router)
	if err != nil {
		return nil, err
	}
	has := func(rt db.Route) bool {
		if _, ok := targets[strings.ToLower(rt.Host)]; ok {
			return true
		}
		_, err := router.Current(ctx, rt) // the runner may have led it to a first release since
		return !errors.Is(err, ErrNoRoute)
	}
	var errs []error
	for _, route := range routes {
		if has(route) {
			continue
		}
		if err := router.Upsert(ctx, route, Upstream{}); !errors.Is(err, db.ErrMoved) {
			errs = append(errs, err)
		}
	}
	return targets, errors.Join(errs...)
}

// since is the router for what is decided by rows that are read from now on.
func (r *Recovery) since(ctx context.Context) (Router, error) {
	if shared, ok := r.Router.(Sharer); ok {
		return shared.Since(ctx)
	}
	return r.Router, nil
}
