// Package shared lets the proxies of several processes serve the same routes. These are rows of one database: who moves a route
// changes its row, every process applies the change to its own proxy and says so, and the mover goes on when all have.
package shared

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Config is what a Router is made of.
type Config struct {
	DB      *db.DB
	Process db.Process // this one; ID, Host, Engine and Runtimes are given
	Local   deploy.Router
	Log     *slog.Logger

	// Reserved are the hosts of Local that no row moves, and Hosts those that have a route, in lower case.
	Reserved func() ([]string, error)
	Hosts    func() []string

	// Away tells of an error of Local that its proxy does not answer. Any other one is a refusal.
	Away func(error) bool
}

// Router is a deploy.Router over the rows. A change returns when it is in effect in the proxies of all living processes; one that
// is killed is waited for until db.ProcessDead has passed, one whose proxy does not answer not at all. What a proxy refuses keeps nobody
// waiting either; it is an error where the process is the mover's own.
//
// A process that cannot reach the database goes on serving what it has: sites stay up while the database is away, where nobody can
// move a route anyway. One that alone is cut off counts as dead, and may lead to a release that another has removed since: what it
// is asked then is answered 502, until it reaches the database again, when it reads everything anew before it confirms anything.
type Router struct {
	Config

	joined  chan struct{} // closed when Local has all routes for the first time
	serving atomic.Bool   // Local's proxy answered when it was last asked for something
	stale   atomic.Int64  // how often it was asked that everything is read anew; 0 once it was
	applied atomic.Int64  // version; everything before is in effect too
	told    atomic.Int64  // what of it the others know
	kick    chan struct{} // wakes follow

	other chan error // a *db.EngineError, once, which ends the process

	confirmed atomic.Int64 // version that all others had once

	applying sync.Mutex // one change of Local after the other
	telling  sync.Mutex // of this process's row; taken after applying
	refused  sync.Map   // by host: the error with which Local did not take what its row says

	drains map[string]*draining // by ID; follow alone uses it
}

var (
	_ deploy.Router  = (*Router)(nil)
	_ deploy.Counter = (*Router)(nil)
	_ deploy.Sharer  = (*Router)(nil)
)

// New makes a Router that does not follow yet: until Run does, what is changed takes effect elsewhere, and here when Run begins.
func New(c Config) *Router {
	return &Router{Config: c, joined: make(chan struct{}), kick: make(chan struct{}, 1), other: make(chan error, 1), drains: map[string]*draining{}}
}

// Check implements deploy.Router.
func (r *Router) Check(rt db.Route) error { return r.Local.Check(rt) }

// Upsert implements deploy.Router. With what the row says already nothing is written, but under a lease: who
// decides by what was so before that is told then that it was moved. Before Run, a first row that would lead to nobody
// leads to where Local does: that may be a proxy that has served since before there were rows, and goes on so.
func (r *Router) Upsert(ctx context.Context, rt db.Route, up deploy.Upstream) error {
	return r.upsert(ctx, rt, up, deploy.GuardOf(ctx), nil)
}

func (r *Router) upsert(ctx context.Context, rt db.Route, up deploy.Upstream, g db.Guard, wrote func(int64)) error {
	if err := r.Check(rt); err != nil {
		return fmt.Errorf("upsert route %q: %w", rt.Host, err)
	}
	if reserved, err := r.reserved(rt); err != nil {
		return err
	} else if reserved {
		return r.Local.Upsert(ctx, rt, up) // which says why not
	}
	text, err := encode(up)
	first, errFirst := encode(r.before(ctx, rt, up))
	if err := errors.Join(err, errFirst); err != nil {
		return err
	}
	rt.Host = key(rt)
	return r.change(ctx, rt, g, wrote, func(was db.RouteTarget) (db.RouteTarget, bool) {
		is := db.RouteTarget{Route: rt, Upstream: text}
		if was.Version == 0 {
			is.Upstream = first
		}
		return is, g.DeploymentID != 0 || !is.SameAs(was)
	})
}

// before is where a host's first row is to lead.
func (r *Router) before(ctx context.Context, rt db.Route, up deploy.Upstream) deploy.Upstream {
	select {
	case <-r.joined:
		return up
	default:
	}
	if up != (deploy.Upstream{}) {
		return up
	}
	if _, err := r.DB.RouteTarget(ctx, key(rt)); !errors.Is(err, db.ErrNotFound) {
		return up
	}
	serves, err := r.Local.Current(ctx, rt)
	if err != nil {
		return up
	}
	return serves
}

// Hold implements deploy.Router, and writes under a lease as Upsert does.
func (r *Router) Hold(ctx context.Context, rt db.Route) error {
	return r.hold(ctx, rt, deploy.GuardOf(ctx), nil)
}

func (r *Router) hold(ctx context.Context, rt db.Route, g db.Guard, wrote func(int64)) error {
	if reserved, err := r.reserved(rt); err != nil {
		return err
	} else if reserved {
		return r.Local.Hold(ctx, rt)
	}
	return r.change(ctx, rt, g, wrote, func(was db.RouteTarget) (db.RouteTarget, bool) {
		is := was
		is.Held = true
		return is, !was.Deleted && (g.DeploymentID != 0 || !was.Held)
	})
}

// Delete implements deploy.Router.
func (r *Router) Delete(ctx context.Context, rt db.Route) error {
	return r.remove(ctx, rt, deploy.GuardOf(ctx), nil)
}

func (r *Router) remove(ctx context.Context, rt db.Route, g db.Guard, wrote func(int64)) error {
	return r.change(ctx, rt, g, wrote, func(was db.RouteTarget) (db.RouteTarget, bool) {
		return db.RouteTarget{Route: db.Route{Host: key(rt)}, Deleted: true}, !was.Deleted
	})
}

// Current implements deploy.Router: what the row says, once that is in effect everywhere.
func (r *Router) Current(ctx context.Context, rt db.Route) (deploy.Upstream, error) {
	t, err := r.DB.RouteTarget(ctx, key(rt))
	if errors.Is(err, db.ErrNotFound) {
		err = deploy.ErrNoRoute
	}
	if err == nil {
		err = r.effective(ctx, t.Version)
	}
	if err != nil {
		return deploy.Upstream{}, fmt.Errorf("read route %q: %w", rt.Host, err)
	}
	return decode(t.Upstream)
}

// Counts implements deploy.Counter: of the proxy in this process.
func (r *Router) Counts(rt db.Route) (all, failed int64, ok bool) {
	if c, counts := r.Local.(deploy.Counter); counts {
		return c.Counts(rt)
	}
	return 0, 0, false
}

// change writes a row, unless it is right already, and waits until that is in effect. wrote is told the version.
func (r *Router) change(ctx context.Context, rt db.Route, g db.Guard, wrote func(int64), change func(db.RouteTarget) (db.RouteTarget, bool)) error {
	host := key(rt)
	was, err := r.DB.RouteTarget(ctx, host)
	if errors.Is(err, db.ErrNotFound) {
		was, err = db.RouteTarget{Route: db.Route{Host: host}, Deleted: true}, nil
	}
	if err != nil {
		return err
	}
	version := was.Version
	if _, differs := change(was); differs {
		if version, err = r.DB.ChangeRoute(ctx, host, g, change); err != nil {
			return err
		}
		if wrote != nil {
			wrote(version)
		}
	}
	if err := r.effective(ctx, version); err != nil {
		return err
	}
	return r.refusal(host)
}

// effective waits until a version is in effect in this process, if it follows, and then in all others that live and serve.
func (r *Router) effective(ctx context.Context, version int64) error {
	select {
	case <-r.joined:
		if err := r.catchUp(ctx, version); err != nil {
			return err
		}
	default:
	}
	if version <= r.confirmed.Load() { // who came later began with it
		return nil
	}
	err := r.until(ctx, func() ([]string, error) { return r.DB.Unconfirmed(ctx, version, r.Process.ID) })
	if err == nil {
		r.confirmed.Store(max(version, r.confirmed.Load()))
	}
	return err
}

// until waits until nobody is left. NOTIFY may be late or lost, and the dead say nothing, so it also looks by itself.
func (r *Router) until(ctx context.Context, left func() ([]string, error)) error {
	const look = 200 * time.Millisecond
	told, cancel := r.DB.Subscribe(db.TopicConfirmed)
	defer cancel()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		ids, err := left()
		if err != nil || len(ids) == 0 {
			return err
		}
		select {
		case <-told:
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *Router) reserved(rt db.Route) (bool, error) {
	hosts, err := r.Reserved()
	return slices.Contains(hosts, key(rt)), err
}

// key is the host as the rows have it.
func key(rt db.Route) string { return strings.ToLower(rt.Host) }

func encode(up deploy.Upstream) (string, error) {
	if up == (deploy.Upstream{}) {
		return "", nil
	}
	text, err := json.Marshal(up)
	return string(text), err
}

func decode(text string) (up deploy.Upstream, err error) {
	if text != "" {
		err = json.Unmarshal([]byte(text), &up)
	}
	return up, err
}
