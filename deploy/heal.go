package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tinyforge/db"
)

// patient is a workload that a pass looks at, with its lock held.
type patient struct {
	*Recovery
	Runtime Runtime // what of it answers
	Router  Router  // that undoes nothing which another process did since the rows were read
	w       db.Workload
	state   db.RuntimeState // zero where nothing was ever live
	live    Instance        // what the state names
	away    []string        // kinds of runtimes
	seen    []Instance      // its releases, listed before any row was read
}

// heal makes one workload what its rows say, as far as decide lets it. Its row is read here: the pass may have been at others
// for long. What runs on a kind of runtime that is away is left alone.
func (r *Recovery) heal(ctx context.Context, id int64, seen []Instance, runtime Runtime, away []string) error {
	ctx, cancel := context.WithTimeout(ctx, workloadLimit)
	defer cancel()
	router, err := r.since(ctx)
	if err != nil {
		return err
	}
	p := &patient{Recovery: r, Runtime: runtime, Router: router, away: away, seen: seen}
	p.w.ID = id
	a, err := p.decide(ctx)
	if err != nil {
		return err
	}
	if a.start || a.routes == routesDelete {
		kept, let, err := r.keep(ctx, id)
		if err != nil {
			return err
		}
		defer let()
		ctx = kept
		if a, err = p.decide(ctx); err != nil { // another process may have begun before it was kept
			return err
		}
	}
	if a.routes == routesDelete {
		return p.takeDown(ctx)
	}
	errs := []error{p.route(ctx, a.routes)}
	if errors.Is(errs[0], db.ErrMoved) { // the facts are not true any more
		return errs[0]
	}
	if a.start {
		short, err := p.startAgain(ctx, a.remove)
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		errs = append(errs, short, p.route(ctx, a.routes))
	}
	if a.remove {
		errs = append(errs, p.reap(ctx))
	}
	return errors.Join(errs...)
}

// decide finds out what is to be done. Nothing is where the workload is gone, or another process's.
func (p *patient) decide(ctx context.Context) (a action, err error) {
	leave := action{routes: routesLeave}
	p.w, err = p.DB.Workload(ctx, p.w.ID)
	if errors.Is(err, db.ErrNotFound) {
		return leave, nil
	} else if err != nil || p.outOfReach(p.w.Runtime) {
		return leave, err
	}
	f, err := p.examine(ctx)
	if err != nil || f.row && p.outOfReach(p.state.Runtime) {
		return leave, err
	}
	return decide(f), nil
}

// examine finds the facts out. The deployment is read before what serves, so that one that has ended has written that.
func (p *patient) examine(ctx context.Context) (f facts, err error) {
	f.deleted = p.w.DeletedAt != nil
	var dep *db.Deployment
	led := false
	if d, err := p.DB.InProgress(ctx, p.w.ID); err == nil {
		dep = &d
		if _, ours := p.leases.Load(d.LeaseOwner); !ours {
			if led, err = p.DB.Leased(ctx, d.ID); err != nil {
				return f, err
			}
		}
	} else if !errors.Is(err, db.ErrNotFound) {
		return f, err
	}
	switch p.state, err = p.DB.RuntimeState(ctx, p.w.ID); {
	case errors.Is(err, db.ErrNotFound):
		f.work = workOf(dep, nil, led)
		return f, nil
	case err != nil:
		return f, err
	}
	f.row, f.work = true, workOf(dep, &p.state, led)
	if p.outOfReach(p.state.Runtime) {
		return f, nil
	}
	err = p.inspect(ctx)
	f.runs = p.runs()
	return f, err
}

// outOfReach tells whether a kind of runtime is another process's, or away.
func (p *patient) outOfReach(kind string) bool {
	return !p.offers(kind) || slices.Contains(p.away, kind)
}

func (p *patient) inspect(ctx context.Context) (err error) {
	if p.live, err = p.Runtime.Inspect(ctx, p.state.ReleaseID); err == nil {
		p.live.Upstream, err = known(ctx, p.Router, p.w.Routes(), p.live)
	}
	return err
}

func (p *patient) runs() runs {
	switch {
	case p.live.State != Running || p.live.Upstream.Addr == "":
		return runsNot
	case p.live.Replicas != 0 && p.live.Replicas != max(1, p.state.Release.Replicas):
		return runsOther
	}
	return runsSo
}

// upstream is where the routes lead that lead to what serves: nobody, while that does not run. Of a stack it is enough that
// the routed service does.
func (p *patient) upstream() Upstream {
	if p.live.Upstream.Addr == "" {
		return Upstream{}
	}
	return p.live.Upstream
}

// startAgain starts what should run; where the workload has nothing in progress alone, since a volume may be written by one
// release at a time. It fails when that does not stay up; short is why what runs, and so serves, is not as it should be. Hosts and
// options may be others when it returns.
func (p *patient) startAgain(ctx context.Context, alone bool) (short, err error) {
	if _, again := p.said.Load(p.w.ID); !again {
		p.Log.WarnContext(ctx, "start what should run", "release", p.live.ID, "state", p.live.State, "exit_code", p.live.ExitCode, "replicas", p.live.Replicas)
	}
	for _, i := range p.others() {
		if !alone || i.State != Running {
			continue
		}
		if err := p.Runtime.Stop(ctx, i.ID); err != nil {
			return nil, err
		}
	}
	started, short := p.Runtime.Start(ctx, p.state.Release)
	var notReady error
	if short == nil && started.State == Running {
		g := gate{runtime: p.Runtime, release: p.state.Release, host: p.w.Host}
		notReady = g.accepts(ctx, blueStart/2)
	}
	if err := p.inspect(ctx); err != nil {
		return nil, errors.Join(short, err)
	}
	switch {
	case p.runs() == runsNot && short != nil:
		return nil, short
	case p.runs() == runsNot:
		return nil, fmt.Errorf("start release %s again: it is %s, with exit code %d", p.live.ID, p.live.State, p.live.ExitCode)
	}
	if notReady != nil {
		p.Log.WarnContext(ctx, "what was started again is not ready", "release", p.live.ID, "error", notReady)
	}
	w, err := p.DB.Workload(ctx, p.w.ID)
	p.w = w
	return short, err
}

// others are the releases of the workload that its row does not name.
func (p *patient) others() (list []Instance) {
	for _, i := range p.seen {
		if i.ID != p.state.ReleaseID {
			list = append(list, i)
		}
	}
	return list
}

// reap removes the releases of a workload that nothing justifies: not live and not routed.
func (p *patient) reap(ctx context.Context) error {
	others := p.others()
	if len(others) == 0 {
		return nil
	}
	routed := map[string]bool{}
	for _, rt := range p.w.Routes() {
		current, err := p.Router.Current(ctx, rt)
		if err != nil && !errors.Is(err, ErrNoRoute) {
			return err
		}
		routed[current.Name] = true
	}
	var errs []error
	for _, i := range others {
		if routed[string(i.ID)] {
			continue
		}
		p.Log.InfoContext(ctx, "remove release that does not serve", "release", i.ID)
		errs = append(errs, p.Runtime.Remove(ctx, i.ID))
	}
	return errors.Join(errs...)
}

// takeDown ends a deleted workload: first its routes, then its releases, then its rows.
func (p *patient) takeDown(ctx context.Context) error {
	if err := p.leaveHosts(ctx); err != nil {
		return err
	}
	for _, i := range p.seen {
		if err := p.Runtime.Remove(ctx, i.ID); err != nil {
			return err
		}
	}
	if p.w.VolumesToo {
		if now, err := p.DB.Workload(ctx, p.w.ID); err != nil || now.DeletedAt == nil { // it may have come back
			return err
		}
		if err := p.Runtime.RemoveVolumes(ctx, p.w.Name); err != nil {
			return err
		}
	}
	_, err := p.DB.PurgeWorkload(ctx, p.w.ID)
	return err
}
