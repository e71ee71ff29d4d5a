package shared

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

// draining is a drain that this process was asked for.
type draining struct {
	cancel context.CancelFunc
	cut    bool
}

// Drain implements deploy.Router, for the proxies of all processes. Where this one is alone, no row is written.
func (r *Router) Drain(ctx context.Context, rt db.Route, old deploy.Upstream) error {
	asking, cancel := beyond(ctx)
	defer cancel()
	alone, err := r.alone(asking)
	if err != nil {
		return fmt.Errorf("drain %s of %q: %w", old.Name, rt.Host, err)
	}
	if serving, err := r.serves(asking, rt, old); err != nil {
		return err
	} else if alone || serving {
		return r.Local.Drain(ctx, rt, old)
	}
	upstream, err := encode(old)
	if err != nil {
		return err
	}
	d := db.Drain{ID: rand.Text(), ProcessID: r.Process.ID, Host: key(rt), Upstream: upstream}
	if err := r.DB.BeginDrain(asking, d); err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), db.ProcessDead)
		defer cancel()
		_ = r.DB.EndDrain(ctx, d.ID) // with this process it ends too
	}()
	err = r.drained(ctx, d.ID)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = errors.Join(ctx.Err(), r.cut(ctx, d.ID))
	}
	if err != nil {
		return fmt.Errorf("drain %s of %q: %w", old.Name, rt.Host, err)
	}
	return nil
}

// beyond returns a context that ends with ctx, but for its deadline, which it outlives a while: what is left when that has passed, be it
// at once, is to be ended.
func beyond(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			_ = deploy.Sleep(longer, db.ProcessDead)
		}
		cancel()
	})
	return longer, func() { stop(); cancel() }
}

func (r *Router) drained(ctx context.Context, id string) error {
	return r.until(ctx, func() ([]string, error) { return r.DB.Undrained(ctx, id) })
}

// cut ends what is left, everywhere.
func (r *Router) cut(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), db.ProcessDead)
	defer cancel()
	if err := r.DB.CutDrain(ctx, id); err != nil {
		return err
	}
	return r.drained(ctx, id)
}

// alone tells whether no other process lives. One that comes later has never led anybody to what is drained.
func (r *Router) alone(ctx context.Context) (bool, error) {
	select {
	case <-r.joined:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	all, err := r.DB.LivingProcesses(ctx)
	for _, p := range all {
		if p.ID != r.Process.ID {
			return false, err
		}
	}
	return true, err
}

// serves tells whether the row leads to old, so that Local refuses to drain it.
func (r *Router) serves(ctx context.Context, rt db.Route, old deploy.Upstream) (bool, error) {
	t, err := r.DB.RouteTarget(ctx, key(rt))
	if errors.Is(err, db.ErrNotFound) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	up, err := decode(t.Upstream)
	return !t.Held && up == old && old != deploy.Upstream{}, err
}

// drain begins what this process is asked for, and gives up what nobody asks for any more.
func (r *Router) drain(ctx context.Context) error {
	list, err := r.DB.DrainsFor(ctx, r.Process.ID)
	if err != nil {
		return err
	}
	asked := map[string]bool{}
	for _, d := range list {
		asked[d.ID] = true
		now := r.drains[d.ID]
		if now != nil && now.cut == d.Cut {
			continue
		}
		if now != nil {
			now.cancel()
		}
		r.drains[d.ID] = r.beginDrain(ctx, d)
	}
	for id, d := range r.drains {
		if !asked[id] {
			d.cancel()
			delete(r.drains, id)
		}
	}
	return nil
}

func (r *Router) beginDrain(ctx context.Context, d db.Drain) *draining {
	draining := &draining{cut: d.Cut}
	ctx, draining.cancel = context.WithCancel(ctx)
	bounded, cancel := ctx, context.CancelFunc(func() {})
	if d.Cut {
		bounded, cancel = context.WithDeadline(ctx, time.Now())
	}
	go func() {
		defer cancel()
		up, err := decode(d.Upstream)
		if err == nil {
			err = r.Local.Drain(bounded, db.Route{Host: d.Host}, up)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			r.Log.WarnContext(ctx, "drain", "host", d.Host, "upstream", up.Name, "error", err)
		}
		for ctx.Err() == nil && r.DB.Drained(ctx, d.ID, r.Process.ID) != nil {
			_ = deploy.Sleep(ctx, db.ProcessBeat)
		}
	}()
	return draining
}
