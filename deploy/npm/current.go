package npm

import (
	"context"
	"fmt"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Current implements deploy.Router. It asks nginx where the host is known to be ours, and Nginx Proxy Manager otherwise.
// Of an upstream that this process did not set, it knows the name or the address, whichever the proxy host forwards to.
func (r *Router) Current(ctx context.Context, rt db.Route) (deploy.Upstream, error) {
	host := hostKey(rt.Host)
	if _, known := r.memory.recall(host); known {
		if seen := r.probes.look(ctx, placeOf(rt)); seen.known {
			return r.upstream(host, seen.target), nil
		}
	}
	row, err := r.find(ctx, host)
	switch {
	case err != nil:
		return deploy.Upstream{}, failure("The route of "+host+" could not be read", err)
	case row == nil:
		return deploy.Upstream{}, fmt.Errorf("read route %q: %w", host, deploy.ErrNoRoute)
	}
	if m := row.mark(); m != nil && m.Instance == r.cfg.Instance && m.Workload == rt.WorkloadID {
		if seen := r.probes.look(ctx, placeOf(rt)); seen.known {
			return r.upstream(host, seen.target), nil
		}
	}
	return r.upstream(host, row.target()), nil
}

func (r *Router) upstream(host string, t target) deploy.Upstream {
	if b, ok := r.memory.recall(host); ok && b.target.same(t) {
		return b.up
	}
	return r.cfg.Forward.upstreamOf(t)
}

// find is the client's, which it asks again when the answer may be a passing trouble.
func (r *Router) find(ctx context.Context, host string) (row *proxyHost, err error) {
	err = tries(ctx, func() error {
		row, err = r.api.find(ctx, host)
		return err
	})
	return row, err
}
