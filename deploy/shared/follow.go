package shared

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Run makes this process one of those that serve: it gives Local all routes, runs proxy, which begins to accept connections only
// then, and follows every change until proxy has ended. Then nobody waits for this process any more. It runs once. It is a
// *db.EngineError, before proxy runs, where this process may not be beside the others.
func (r *Router) Run(ctx context.Context, proxy func(context.Context) error) error {
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if err := r.begin(ctx); err != nil {
		return err
	}
	beating, followed := make(chan struct{}), make(chan struct{})
	go func() { defer close(beating); r.beat(following) }()
	go func() { defer close(followed); r.follow(following) }()
	err := proxy(ctx)
	stop()
	<-beating
	<-followed
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), db.ProcessDead)
	defer cancel()
	return errors.Join(err, r.DB.LeaveProcess(leaving, r.Process.ID))
}

// begin waits for a database that does not answer: without it nothing is known of the sites. A proxy that does not answer is not
// waited for. From its row on this process is waited for, so that what it reads then is not overtaken.
func (r *Router) begin(ctx context.Context) error {
	r.serving.Store(true)
	for {
		err := r.DB.JoinProcess(ctx, r.now())
		if err == nil {
			err = r.reload(ctx)
		}
		if err == nil || !r.serving.Load() {
			close(r.joined)
			return nil
		}
		if _, refused := errors.AsType[*db.EngineError](err); refused {
			return err
		}
		r.Log.ErrorContext(ctx, "read the routes; it is tried again", "error", err)
		if err := deploy.Sleep(ctx, time.Second); err != nil {
			return nil // it ends
		}
	}
}

// now is this process as the others are to see it.
func (r *Router) now() db.Process {
	p := r.Process
	p.Serving, p.Applied = r.serving.Load(), r.applied.Load()
	return p
}

// beat says that the process is there, apart from follow, which may wait for a proxy.
func (r *Router) beat(ctx context.Context) {
	tick := time.NewTicker(db.ProcessBeat)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.complain(ctx, "tell that this process lives; its sites are served as they are", r.tell(ctx))
		const tidy = 10
		if n%tidy == 0 {
			r.complain(ctx, "tidy the rows of processes", r.DB.TidyProcesses(ctx))
		}
	}
}

// tell writes the process's row. Who was thought dead reads everything anew.
func (r *Router) tell(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, db.ProcessDead)
	defer cancel()
	r.telling.Lock() // what is told is not older than what backwards has made of it
	defer r.telling.Unlock()
	p := r.now()
	alive, err := r.DB.BeatProcess(ctx, p, p.Applied != r.told.Load())
	if err != nil {
		return err
	}
	if alive {
		r.told.Store(p.Applied)
		return nil
	}
	if others, err := r.DB.LivingProcesses(ctx); err != nil {
		return err
	} else if len(others) > 0 {
		r.Log.WarnContext(ctx, "this process was out of reach of the others: all routes are read anew")
	}
	if err := r.DB.JoinProcess(ctx, p); err != nil {
		if _, other := errors.AsType[*db.EngineError](err); other {
			select {
			case r.other <- err:
			default:
			}
		}
		return err
	}
	r.told.Store(p.Applied)
	r.Reread()
	return nil
}

// Stay returns when ctx is done, or a *db.EngineError as soon as others took this process for dead and one with another Docker is there
// now: this one has to end.
func (r *Router) Stay(ctx context.Context) error {
	select {
	case err := <-r.other:
		return err
	case <-ctx.Done():
		return nil
	}
}

// Reread gives Local all routes anew, soon: it is another one, or may have lost some.
func (r *Router) Reread() {
	r.stale.Add(1)
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// follow applies changes and answers drains, when it is told of them and every second.
func (r *Router) follow(ctx context.Context) {
	changed, cancel := r.DB.Subscribe(db.TopicRoutes)
	defer cancel()
	tick := time.NewTicker(db.ProcessBeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-r.kick:
		case <-tick.C:
		}
		r.complain(ctx, "follow the routes; it is tried again", r.once(ctx))
	}
}

func (r *Router) once(ctx context.Context) error {
	served := r.serving.Load()
	err := r.backwards(ctx)
	if err != nil {
		return err
	}
	if r.stale.Load() > 0 {
		err = r.reload(ctx)
	} else {
		err = r.catchUp(ctx, 0)
	}
	if r.applied.Load() > r.told.Load() || served != r.serving.Load() {
		err = errors.Join(err, r.tell(ctx))
	}
	if err == nil && !served { // nobody waited for what came between: from now on they do
		err = r.catchUp(ctx, 0)
	}
	return errors.Join(err, r.drain(ctx))
}

// backwards finds that the database has forgotten versions, after it was restored or a standby took over: what Local has is not what
// the rows say, and their next versions were others' before.
func (r *Router) backwards(ctx context.Context) error {
	r.applying.Lock() // nothing is applied that was read before
	defer r.applying.Unlock()
	version, err := r.DB.RouteVersion(ctx)
	if err != nil || version >= r.applied.Load() {
		return err
	}
	r.Log.WarnContext(ctx, "the database has lost the last moves of routes: all are read anew")
	r.telling.Lock()
	defer r.telling.Unlock()
	r.stale.Add(1)
	r.applied.Store(0)
	r.told.Store(-1)
	r.confirmed.Store(0)
	return nil
}

// catchUp applies what has changed; a version that is in effect already needs no look. 0 is whatever there is.
func (r *Router) catchUp(ctx context.Context, version int64) error {
	if version > 0 && r.stale.Load() == 0 && r.applied.Load() >= version {
		return nil
	}
	r.applying.Lock()
	defer r.applying.Unlock()
	if r.stale.Load() > 0 {
		return r.reloadHeld(ctx)
	}
	return r.applyAll(ctx, r.applied.Load())
}

func (r *Router) applyAll(ctx context.Context, after int64) error {
	list, err := r.DB.RouteTargets(ctx, after)
	if err != nil {
		return err
	}
	return r.take(ctx, append(list, r.again(ctx)...))
}

// take makes Local do what rows say. Whether others wait for this process hangs on whether its proxy is there; what that refuses is an
// error of the one row, and is tried again.
func (r *Router) take(ctx context.Context, rows []db.RouteTarget) error {
	for _, t := range rows {
		err := r.apply(ctx, t)
		if err != nil && (ctx.Err() != nil || r.Away(err)) {
			if r.Away(err) && !errors.Is(ctx.Err(), context.Canceled) {
				r.serving.Store(false)
			}
			return fmt.Errorf("apply route %q: %w", t.Route.Host, err)
		}
		r.refuse(ctx, key(t.Route), err)
		r.applied.Store(max(r.applied.Load(), t.Version))
	}
	r.serving.Store(true)
	return nil
}

// refuse takes note of what Local says of a host; nil is that it took it.
func (r *Router) refuse(ctx context.Context, host string, err error) {
	if err == nil {
		r.refused.Delete(host)
		return
	}
	was, _ := r.refused.Swap(host, err)
	if said, _ := was.(error); !errors.Is(err, deploy.ErrReserved) && (said == nil || said.Error() != err.Error()) {
		r.Log.ErrorContext(ctx, "the proxy refuses a route, which leads where it led before; it is tried again", "host", host, "error", err)
	}
}

// refusal is why Local does not do what the row of a host says, nil where it does.
func (r *Router) refusal(host string) error {
	err, _ := r.refused.Load(host)
	refused, _ := err.(error)
	return refused
}

// again are the rows that were refused, but for those of hosts that are reserved still.
func (r *Router) again(ctx context.Context) (list []db.RouteTarget) {
	var hosts []string
	r.refused.Range(func(host, _ any) bool { hosts = append(hosts, host.(string)); return true })
	if len(hosts) == 0 {
		return nil
	}
	reserved, err := r.Reserved()
	if err != nil {
		return nil
	}
	for _, host := range hosts {
		if slices.Contains(reserved, host) {
			continue
		}
		t, err := r.DB.RouteTarget(ctx, host)
		if errors.Is(err, db.ErrNotFound) {
			t, err = db.RouteTarget{Route: db.Route{Host: host}, Deleted: true}, nil
		}
		if err == nil {
			t.Version = 0 // it was read after those that changed: there may be others before it
			list = append(list, t)
		}
	}
	return list
}

// apply makes Local do what a row says. It may be repeated.
func (r *Router) apply(ctx context.Context, t db.RouteTarget) error {
	if t.Deleted {
		return r.Local.Delete(ctx, t.Route)
	}
	up, err := decode(t.Upstream)
	if err != nil {
		return err
	}
	was, err := r.Local.Current(ctx, t.Route)
	if err == nil && t.Held && was == up {
		return r.Local.Hold(ctx, t.Route) // an Upsert would let those go who wait
	}
	if err != nil && !errors.Is(err, deploy.ErrNoRoute) {
		return err
	}
	err = r.Local.Upsert(ctx, t.Route, up)
	if err == nil && t.Held {
		err = r.Local.Hold(ctx, t.Route)
	}
	return err
}

// reload makes Local what all rows say, and nothing else.
func (r *Router) reload(ctx context.Context) error {
	r.applying.Lock()
	defer r.applying.Unlock()
	return r.reloadHeld(ctx)
}

// reloadHeld is reload for who holds applying. What the process missed may be a route that was deleted and forgotten.
func (r *Router) reloadHeld(ctx context.Context) error {
	asked := r.stale.Add(1) // until it is done; who asks meanwhile is not forgotten
	had := r.Hosts()
	if err := r.applyAll(ctx, 0); err != nil {
		return err
	}
	rows, err := r.DB.RouteTargets(ctx, 0)
	if err != nil {
		return err
	}
	known, err := r.Reserved()
	if err != nil {
		r.serving.Store(false)
		return err
	}
	wanted := map[string]bool{}
	for _, host := range known {
		wanted[host] = true
	}
	for _, t := range rows {
		wanted[key(t.Route)] = true
	}
	var gone []db.RouteTarget
	for _, host := range had {
		if !wanted[host] {
			gone = append(gone, db.RouteTarget{Route: db.Route{Host: host}, Deleted: true})
		}
	}
	if err := r.take(ctx, gone); err != nil {
		return err
	}
	r.stale.CompareAndSwap(asked, 0)
	return nil
}
