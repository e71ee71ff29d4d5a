package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Table is the route table: which host goes to which upstream. It is a deploy.Router. Requests read it without a lock; a
// swap costs the same however many routes there are. It lives in memory, and where it was given a folder in files too: then
// every change is durable before it takes effect, and an error of that changes nothing of what is served.
type Table struct {
	holdFor   time.Duration // how long one request waits on a held route
	holdLimit int64         // how many requests wait on one held route
	room      room          // for all that wait

	passwords *passwords
	files     *routeFiles // nil for none; guarded by mu

	routes sync.Map // host -> *route

	closing context.Context    // once it is done, nobody waits on a held route, and there are no tunnels
	close   context.CancelFunc // may be repeated

	mu       sync.Mutex           // serialises all that changes routes
	retired  map[string][]*target // by host: replaced targets, until they are idle
	reserved map[string]bool      // hosts that lead to Tinyforge itself; guarded by mu
}

var (
	_ deploy.Router  = (*Table)(nil)
	_ deploy.Counter = (*Table)(nil)
	_ deploy.Lister  = (*Table)(nil)
)

// ErrServing is returned by Drain for an upstream that its route still points at.
var ErrServing = errors.New("the route still points there")

// errDrained ends what is left of an upstream when the bound of its drain is reached.
var errDrained = errors.New("the release that answered has been replaced")

func newTable(holdFor time.Duration, holdLimit int64) *Table {
	closing, cancel := context.WithCancel(context.Background())
	return &Table{
		closing: closing, close: cancel,
		holdFor: holdFor, holdLimit: holdLimit, room: room{most: defaultRoom}, passwords: newPasswords(),
		retired: map[string][]*target{}, reserved: map[string]bool{},
	}
}

// Check implements deploy.Router: it can do everything that makes sense.
func (tb *Table) Check(rt db.Route) error { return deploy.CheckRoute(rt) }

// Upsert implements deploy.Router. With the upstream that the route has already, it only releases a hold and changes the
// options, which disturbs no request. For a reserved host it returns a deploy.Failure.
func (tb *Table) Upsert(_ context.Context, rt db.Route, up deploy.Upstream) error {
	host := hostKey(rt.Host)
	if err := errors.Join(check(host, up), deploy.CheckRoute(rt)); err != nil {
		return fmt.Errorf("upsert route %q: %w", rt.Host, err)
	}
	o := newOptions(rt)
	tb.mu.Lock()
	defer tb.mu.Unlock()
	r := tb.lookup(host)
	if tb.reserved[host] {
		return reservedFailure(host)
	}
	if err := tb.files.save(recordOf(host, o, up)); err != nil {
		return fmt.Errorf("upsert route %q: %w", rt.Host, err)
	}
	if r == nil {
		tb.routes.Store(host, newRoute(host, o, newTarget(up)))
		return nil
	}
	if !o.equal(r.options.Load()) {
		r.options.Store(o)
	}
	if t := r.target.Load(); t.held() || t.up != up {
		tb.swap(r, newTarget(up))
	}
	return nil
}

// Current implements deploy.Router. A held route still has the upstream it had before.
func (tb *Table) Current(_ context.Context, rt db.Route) (deploy.Upstream, error) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	r := tb.lookup(hostKey(rt.Host))
	if r == nil {
		return deploy.Upstream{}, fmt.Errorf("read route %q: %w", rt.Host, deploy.ErrNoRoute)
	}
	return r.target.Load().up, nil
}

// Targets implements deploy.Lister. Each route is as it was at some moment of the call.
func (tb *Table) Targets(context.Context) (map[string]deploy.Target, error) {
	all := map[string]deploy.Target{}
	tb.routes.Range(func(_, value any) bool {
		tb.mu.Lock()
		defer tb.mu.Unlock()
		if r := value.(*route); r.target.Load() != nil { // or else it was deleted meanwhile
			rec := r.record()
			all[rec.Host] = deploy.Target{Route: rec.route(), Upstream: rec.Upstream, Held: rec.Held}
		}
		return true
	})
	return all, nil
}

// Hold implements deploy.Router. Holding an absent route, or a held one, does nothing. For a reserved host it returns a
// deploy.Failure.
func (tb *Table) Hold(_ context.Context, rt db.Route) error {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	r := tb.lookup(hostKey(rt.Host))
	if r == nil {
		return nil
	}
	if tb.reserved[r.host] {
		return reservedFailure(r.host)
	}
	rec := r.record()
	rec.Held = true
	if err := tb.files.save(rec); err != nil {
		return fmt.Errorf("hold route %q: %w", rt.Host, err)
	}
	if t := r.target.Load(); !t.held() {
		tb.swap(r, newGate(t.up))
	}
	return nil
}

// Drain implements deploy.Router. It knows old by its name, also after Delete. Requests that wait on a held route are
// not in flight to anything. Draining what the route still points at is ErrServing.
func (tb *Table) Drain(ctx context.Context, rt db.Route, old deploy.Upstream) error {
	left, err := tb.replaced(hostKey(rt.Host), old)
	if err != nil {
		return fmt.Errorf("drain %s of %q: %w", old.Name, rt.Host, err)
	}
	for _, t := range left {
		if t.wait(ctx) == nil {
			continue
		}
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("drain %s of %q: %w", old.Name, rt.Host, ctx.Err())
		}
		n := end(left)
		return fmt.Errorf("drain %s of %q: ended %d that were left: %w", old.Name, rt.Host, n, ctx.Err())
	}
	return nil
}

// Delete implements deploy.Router. What is in flight goes on, and can be drained. A reserved host stays as it is, without
// an error: the route that a workload had there is gone, and a workload that moves away or is removed must not fail at it.
func (tb *Table) Delete(_ context.Context, rt db.Route) error {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	host := hostKey(rt.Host)
	if tb.reserved[host] {
		return nil
	}
	if err := tb.files.remove(host); err != nil {
		return fmt.Errorf("delete route %q: %w", rt.Host, err)
	}
	if r := tb.lookup(host); r != nil {
		tb.routes.Delete(host)
		tb.swap(r, nil)
	}
	return nil
}

// Counts implements deploy.Counter.
func (tb *Table) Counts(rt db.Route) (all, failed int64, ok bool) {
	r := tb.lookup(hostKey(rt.Host))
	if r == nil {
		return 0, 0, false
	}
	return r.requests.Load(), r.failed.Load(), true
}

// Stats returns the figures of every route, sorted by host.
func (tb *Table) Stats() []Stats {
	var all []Stats
	tb.routes.Range(func(_, r any) bool {
		all = append(all, r.(*route).stats())
		return true
	})
	slices.SortFunc(all, func(a, b Stats) int { return strings.Compare(a.Host, b.Host) })
	return all
}

// restore fills the table with what is kept in its files. It is called before anything else.
func (tb *Table) restore(log *slog.Logger) error {
	all, err := tb.files.load(log)
	if err != nil {
		return err
	}
	for _, rec := range all {
		tb.routes.Store(rec.Host, rec.restore())
		if rec.Reserved {
			tb.reserved[rec.Host] = true
		}
	}
	if len(all) > 0 {
		log.Info("routes are back", slog.Int("routes", len(all)))
	}
	return nil
}

// lookup returns the route of a host key, or nil.
func (tb *Table) lookup(host string) *route {
	r, ok := tb.routes.Load(host)
	if !ok {
		return nil
	}
	return r.(*route)
}

// swap makes next the route's target; nil takes the route away. The caller holds mu.
func (tb *Table) swap(r *route, next *target) {
	old := r.target.Swap(next)
	old.retire()
	tb.prune(r.host)
	if !old.isIdle() {
		tb.retired[r.host] = append(tb.retired[r.host], old)
	}
}

// replaced returns the targets of old that may still have requests.
func (tb *Table) replaced(host string, old deploy.Upstream) ([]*target, error) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if r := tb.lookup(host); r != nil && old != (deploy.Upstream{}) {
		if t := r.target.Load(); !t.held() && t.up == old {
			return nil, ErrServing
		}
	}
	tb.prune(host)
	var found []*target
	for _, t := range tb.retired[host] {
		if t.up.Name == old.Name {
			found = append(found, t)
		}
	}
	return found, nil
}

// prune forgets the replaced targets of a host that are idle. The caller holds mu.
func (tb *Table) prune(host string) {
	left := slices.DeleteFunc(tb.retired[host], (*target).isIdle)
	if len(left) == 0 {
		delete(tb.retired, host)
		return
	}
	tb.retired[host] = left
}

// endAll ends everything in flight, and returns how many requests that were.
func (tb *Table) endAll() int64 {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	var all []*target
	for _, left := range tb.retired {
		all = append(all, left...)
	}
	tb.routes.Range(func(_, r any) bool {
		all = append(all, r.(*route).target.Load())
		return true
	})
	return end(all)
}

func end(targets []*target) (requests int64) {
	for _, t := range targets {
		requests += t.inflight.Load()
		t.end(errDrained)
	}
	return requests
}

func check(host string, up deploy.Upstream) error {
	if host == "" {
		return errors.New("the host is empty")
	}
	if up == (deploy.Upstream{}) {
		return nil
	}
	for _, addr := range up.Addrs() {
		// Caddy reads "/" as a network and "{" as a placeholder.
		_, port, err := net.SplitHostPort(addr)
		if err != nil || port == "" || strings.ContainsAny(addr, "/{}") {
			return fmt.Errorf("upstream %s: %q is not host:port", up.Name, addr)
		}
	}
	if up.Addr == "" {
		return fmt.Errorf("upstream %s has no address", up.Name)
	}
	return nil
}

// hostKey brings a Host header or a route's host to the form of the table's keys: lower case, no port, no final dot.
func hostKey(host string) string {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
