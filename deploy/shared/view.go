package shared

import (
	"context"
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
	newest := int64(0)
	if len(rows) > 0 {
		newest = rows[len(rows)-1].Version
	}
	confirmed, err := v.confirmedBy(ctx, newest)
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
		all[host] = deploy.Target{Route: row.Route, Upstream: up, Held: row.Held, Pending: row.Version > confirmed || v.refusal(host) != nil}
	}
	return all, nil
}

// confirmedBy is up to which version all is in effect everywhere; beyond the one that was asked for nobody looks.
func (v *view) confirmedBy(ctx context.Context, version int64) (int64, error) {
	known := v.confirmed.Load()
	if version <= known || v.applied.Load() < version {
		return known, nil
	}
	left, err := v.DB.Unconfirmed(ctx, version, v.Process.ID)
	if err != nil || len(left) > 0 {
		return known, err
	}
	v.confirmed.Store(max(version, v.confirmed.Load()))
	return version, nil
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
