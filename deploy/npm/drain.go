package npm

import (
	"context"
	"fmt"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Drain implements deploy.Router. Nginx Proxy Manager does not tell what is in flight, so it lets a grace pass since the
// route left old, in which nginx's workers of before finish what they have. What is left then goes on, if it can, until
// its release ends; nothing is cut from here.
func (r *Router) Drain(ctx context.Context, rt db.Route, old deploy.Upstream) error {
	rest := time.Until(r.memory.gone(hostKey(rt.Host), old.Name).Add(r.cfg.Grace))
	if rest <= 0 {
		return nil
	}
	if err := pause(ctx, rest); err != nil {
		return fmt.Errorf("drain %s of %q: %w", old.Name, rt.Host, err)
	}
	return nil
}
