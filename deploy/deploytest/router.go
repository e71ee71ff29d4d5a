package deploytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Router is a deploy.Router in memory that records its calls and fails or dies where its Hook wants it to. Points are
// "router.upsert", "router.hold", "router.drain" and "router.delete". Get and Do go through it to the upstream. Of a
// route's options it knows all but the time-out.
type Router struct {
	NoHold bool  // Hold answers errors.ErrUnsupported, and so releases nothing
	Blind  bool  // Drain knows of no request, and waits for none
	Cannot error // what Check answers
	Mute   bool  // Targets answers errors.ErrUnsupported

	hook Hook

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change
	routes  map[string]*fakeRoute
	flights map[*flight]bool
	calls   []string
}

type fakeRoute struct {
	db.Route
	up   deploy.Upstream
	held bool
}

// flight is a request that Get has under way.
type flight struct {
	host, name string
	end        context.CancelFunc
}

var (
	_ deploy.Router = (*Router)(nil)
	_ deploy.Lister = (*Router)(nil)
)

// NewRouter returns a Router without routes. The hook may be nil.
func NewRouter(hook Hook) *Router {
	return &Router{
		hook:    hook,
		changed: make(chan struct{}),
		routes:  map[string]*fakeRoute{},
		flights: map[*flight]bool{},
	}
}

// Check implements deploy.Router: it can do everything that makes sense, unless Cannot says otherwise.
func (r *Router) Check(rt db.Route) error {
	if r.Cannot != nil {
		return r.Cannot
	}
	return deploy.CheckRoute(rt)
}

// Upsert implements deploy.Router.
func (r *Router) Upsert(_ context.Context, rt db.Route, up deploy.Upstream) error {
	r.record("upsert", rt, up)
	if err := r.Check(rt); err != nil {
		return err
	}
	return r.call("router.upsert", func() error {
		r.change(func() { r.routes[rt.Host] = &fakeRoute{Route: rt, up: up} })
		return nil
	})
}

// Current implements deploy.Router.
func (r *Router) Current(_ context.Context, rt db.Route) (deploy.Upstream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	route, ok := r.routes[rt.Host]
	if !ok {
		return deploy.Upstream{}, fmt.Errorf("read route %q: %w", rt.Host, deploy.ErrNoRoute)
	}
	return route.up, nil
}

// Targets implements deploy.Lister.
func (r *Router) Targets(context.Context) (map[string]deploy.Target, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Mute {
		return nil, fmt.Errorf("list routes: %w", errors.ErrUnsupported)
	}
	all := map[string]deploy.Target{}
	for host, route := range r.routes {
		all[strings.ToLower(host)] = deploy.Target{Route: route.Route, Upstream: route.up, Held: route.held}
	}
	return all, nil
}

// Hold implements deploy.Router.
func (r *Router) Hold(_ context.Context, rt db.Route) error {
	r.record("hold", rt, deploy.Upstream{})
	if r.NoHold {
		return fmt.Errorf("hold route %q: %w", rt.Host, errors.ErrUnsupported)
	}
	return r.call("router.hold", func() error {
		r.change(func() {
			if route, ok := r.routes[rt.Host]; ok {
				route.held = true
			}
		})
		return nil
	})
}

// Drain implements deploy.Router.
func (r *Router) Drain(ctx context.Context, rt db.Route, old deploy.Upstream) error {
	r.record("drain", rt, old)
	return r.call("router.drain", func() error {
		if r.Blind {
			return nil
		}
		if err := r.await(ctx, func() bool { return len(r.flying(rt.Host, old.Name)) == 0 }); err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				r.change(func() {
					for _, f := range r.flying(rt.Host, old.Name) {
						f.end()
					}
				})
			}
			return fmt.Errorf("drain %s of %q: %w", old.Name, rt.Host, err)
		}
		return nil
	})
}

// Delete implements deploy.Router.
func (r *Router) Delete(_ context.Context, rt db.Route) error {
	r.record("delete", rt, deploy.Upstream{})
	return r.call("router.delete", func() error {
		r.change(func() { delete(r.routes, rt.Host) })
		return nil
	})
}

// Calls returns what was called so far: "upsert www.example.com tf-web-2", in order. Calls of Current are not in it.
func (r *Router) Calls() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// Routes returns the upstream name of every host.
func (r *Router) Routes() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := map[string]string{}
	for host, route := range r.routes {
		names[host] = route.up.Name
	}
	return names
}

// Held tells whether requests to a host are kept waiting.
func (r *Router) Held(host string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	route := r.routes[host]
	return route != nil && route.held
}

// Forget drops all routes, as the built-in proxy does when its process ends.
func (r *Router) Forget() {
	r.change(func() { clear(r.routes) })
}

// SetHook replaces the hook, as for the process that comes after a killed one.
func (r *Router) SetHook(hook Hook) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hook = hook
}

// flying returns the requests under way from a host to an upstream. The caller holds mu.
func (r *Router) flying(host, name string) (found []*flight) {
	for f := range r.flights {
		if f.host == host && f.name == name {
			found = append(found, f)
		}
	}
	return found
}

func (r *Router) call(name string, effect func() error) error {
	r.mu.Lock()
	hook := r.hook
	r.mu.Unlock()
	return hook.Call(name, effect)
}

func (r *Router) record(call string, rt db.Route, up deploy.Upstream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, strings.TrimSpace(call+" "+rt.Host+" "+up.Name))
}

func (r *Router) change(do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do()
	close(r.changed)
	r.changed = make(chan struct{})
}

// await returns nil once ok says so, which it is asked at every change, or ctx's error.
func (r *Router) await(ctx context.Context, ok func() bool) error {
	for {
		r.mu.Lock()
		done, changed := ok(), r.changed
		r.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
