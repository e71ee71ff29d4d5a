package shared

import (
	"context"
	"math"
	"slices"
	"sync"

	"tinyforge/db"
	"tinyforge/deploy"
)

var _ deploy.Lister = (*view)(nil)

// view is a Router for one who decides by what he has read since a moment: it undoes nothing that others have done after that.
type view struct {
	*Router
	since int64

	mu  sync.Mutex
	own map[string]int64 // by host: the version that this view wrote
}

// Since implements deploy.Sharer.
func (r *Router) Since(ctx context.Context) (deploy.Router, error) {
	version, err := r.DB.RouteVersion(ctx)
	return &view{Router: r, since: max(version, 1), own: map[string]int64{}}, err
}

// Targets implements deploy.Lister, by the rows. It waits for no other process.
func (v *view) Targets(ctx context.Context) (map[string]deploy.Target, error) {
	rows, err := v.DB.RouteTargets(ctx, 0)
	if err != nil {
		return nil, err
	}
	confirmed, err := v.confirmedSoFar(ctx)
	if err != nil {
		return nil, err
	}
	own, err := v.Reserved()
	if err != nil {
		return nil, err
	}
	all := make(map[string]deploy.Target, len(rows))
	for _, row := range rows {
		if row.Deleted {
			continue
		}
		up, err := decode(row.Upstream)
		if err != nil {
			return nil, err
		}
		host := key(row.Route)
		all[host] = deploy.Target{Route: row.Route, Upstream: up, Held: row.Held, Pending: row.Version > confirmed || v.refusal(host) != nil || slices.Contains(own, host)}
	}
	return all, nil
}

// confirmedSoFar is the version up to which all is in effect in this process, if it follows, and in all others that live and serve.
func (v *view) confirmedSoFar(ctx context.Context) (int64, error) {
	here := int64(math.MaxInt64)
	select {
	case <-v.joined:
		here = v.applied.Load()
	default:
	}
	if v.stale.Load() > 0 {
		return 0, nil
	}
	known := v.confirmed.Load() // who joined later began with that
	others, err := v.DB.Confirmed(ctx, v.Process.ID)
	if err != nil || min(here, others) <= known {
		return known, err
	}
	return min(here, others), nil
}

// Upsert implements deploy.Router.
func (v *view) Upsert(ctx context.Context, rt db.Route, up deploy.Upstream) error {
	return v.upsert(ctx, rt, up, v.guard(rt), v.wrote(rt))
}

// Hold implements deploy.Router.
func (v *view) Hold(ctx context.Context, rt db.Route) error {
	return v.hold(ctx, rt, v.guard(rt), v.wrote(rt))
}

// Delete implements deploy.Router.
func (v *view) Delete(ctx context.Context, rt db.Route) error {
	return v.remove(ctx, rt, v.guard(rt), v.wrote(rt))
}

func (v *view) guard(rt db.Route) db.Guard {
	v.mu.Lock()
	defer v.mu.Unlock()
	return db.Guard{Since: max(v.since, v.own[key(rt)])}
}

func (v *view) wrote(rt db.Route) func(int64) {
	return func(version int64) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.own[key(rt)] = version
	}
}
