package deploy

import (
	"context"
	"errors"

	"tinyforge/db"
)

// Lister is a Router that tells in one call where all routes lead: asking for each takes long where there are thousands.
type Lister interface {
	// Targets are the routes by host, in lower case. It returns errors.ErrUnsupported where it cannot tell at present.
	Targets(ctx context.Context) (map[string]Target, error)
}

// Target is a route as the proxy has it.
type Target struct {
	Route    db.Route // without the workload where the proxy does not know that
	Upstream Upstream
	Held     bool // new requests wait
	Pending  bool // it is not so yet in all proxies that share it
}

// Is tells whether an Upsert of this route and upstream would change nothing.
func (t Target) Is(rt db.Route, up Upstream) bool {
	t.Route.Host = rt.Host
	if t.Route.WorkloadID == 0 {
		t.Route.WorkloadID = rt.WorkloadID
	}
	return !t.Held && !t.Pending && t.Upstream == up && t.Route.SameAs(rt)
}

// listTargets is nil where the router does not tell.
func listTargets(ctx context.Context, router Router) (map[string]Target, error) {
	lister, ok := router.(Lister)
	if !ok {
		return nil, nil
	}
	all, err := lister.Targets(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, nil
	}
	if all == nil && err == nil {
		all = map[string]Target{}
	}
	return all, err
}
