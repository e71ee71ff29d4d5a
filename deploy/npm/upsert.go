package npm

import (
	"context"
	"fmt"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Upsert implements deploy.Router. It returns nil when Nginx Proxy Manager has taken the change and nginx was seen to
// reach up, several times in a row. When that cannot be had, the proxy host is pointed back at what it pointed to before,
// and the error is a deploy.Failure. Where nginx goes to up already that costs a single request to nginx.
//
// A route that redirects is left to a Redirection Host that somebody makes there, see Check. A proxy host of somebody else is
// refused, unless it may be adopted. An adopted one keeps its settings, and until it has a second release, the zero Upstream
// gives it back what it served before.
func (r *Router) Upsert(ctx context.Context, rt db.Route, up deploy.Upstream) error {
	host := hostKey(rt.Host)
	if r.isReserved(host) {
		return &deploy.Failure{Text: host + " is Tinyforge's own host (--public-url): give the workload another one"}
	}
	if err := deploy.CheckRoute(rt); err != nil {
		return fmt.Errorf("upsert route %q: %w", host, err)
	}
	if rt.RedirectTo != "" {
		return nil
	}
	to, err := r.cfg.Forward.targetOf(up)
	if err != nil {
		return fmt.Errorf("upsert route %q: %w", host, err)
	}
	if known, err := r.confirmed(ctx, placeOf(rt), up); known {
		return err
	}
	if len(rt.BasicAuth) > 0 && up != (deploy.Upstream{}) { // it must not be open to all
		return failure("The route of "+host+" was not moved", &deploy.Failure{Text: r.Check(rt).Error()})
	}
	unlock, err := r.lock(ctx)
	if err != nil {
		return fmt.Errorf("upsert route %q: %w", host, err)
	}
	defer unlock()
	c := &change{Router: r, place: placeOf(rt), up: up, to: to, connect: up != deploy.Upstream{}}
	if err := c.run(ctx); err != nil {
		return failure("The route of "+host+" was not moved", err)
	}
	return nil
}

// confirmed tells whether nginx, seen at work before, still goes to up, and if so, whether it reaches it.
func (r *Router) confirmed(ctx context.Context, at place, up deploy.Upstream) (known bool, err error) {
	b, ok := r.memory.recall(at.host)
	if !ok || b.up != up || time.Since(b.at) > believedFor {
		return false, nil
	}
	seen := r.probes.look(ctx, at)
	if !seen.known || seen.target.said() != b.target.said() {
		return false, nil
	}
	if !b.unconnected {
		return true, nil // that a release ended since is not the route's fault
	}
	if !seen.connected {
		return true, failure("The route of "+at.host+" leads nowhere", r.unreached(b.target))
	}
	return false, nil
}

// unreached is the failure of a target that nginx cannot connect to.
func (r *Router) unreached(t target) error {
	text := "Nginx Proxy Manager cannot connect to " + t.address()
	if r.cfg.Forward == ByName {
		text += ": join it to the Docker network of Tinyforge (docker network connect), or use --npm-forward address"
	} else {
		text += ": it has to reach the addresses of Tinyforge's Docker network from where it runs, or use --npm-forward name"
	}
	return &deploy.Failure{Text: text}
}
