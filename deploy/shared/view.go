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

// Hosts implements deploy.Lister.
func (v *view) Hosts(ctx context.Context) (map[string]bool, error) {
	list, err := v.DB.RoutedHosts(ctx)
	hosts := make(map[string]bool, len(list))
	for _, host := range list {
		hosts[host] = true
	}
	return hosts, err
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
