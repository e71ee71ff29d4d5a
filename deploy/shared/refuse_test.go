package shared_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

var (
	errAway    = errors.New("the proxy does not answer")
	errRefused = errors.New("the disk is full")
)

// picky does not take the route of one host.
type picky struct {
	*deploytest.Router
	host *atomic.Value
}

func (p picky) Upsert(ctx context.Context, rt db.Route, up deploy.Upstream) error {
	if rt.Host == p.host.Load() {
		return errRefused
	}
	return p.Router.Upsert(ctx, rt, up)
}

// TestProxyAway: a process whose proxy does not take a change is told so, and the others do not wait for it.
func TestProxyAway(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 2)
	a, b := g.members[0], g.members[1]
	must(t, a.Upsert(t.Context(), rt, blue))
	b.local.SetHook(deploytest.FailAt("router.upsert:before", errAway))
	if err := b.Upsert(t.Context(), rt, green); !errors.Is(err, errAway) {
		t.Errorf("it says %v", err)
	}
	must(t, a.Upsert(t.Context(), rt, blue))
	must(t, a.Upsert(t.Context(), rt, green))
	a.points(t, green.Name)
	b.local.SetHook(nil)
	must(t, b.Upsert(t.Context(), rt, blue))
	a.points(t, blue.Name)
	b.points(t, blue.Name)
}

// TestProxyRefusesOneRoute: that is an error for who moves it there, and of that route alone. The process goes on being waited for, and
// its proxy gets the route when it takes it.
func TestProxyRefusesOneRoute(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 2)
	a, b := g.members[0], g.members[1]
	must(t, a.Upsert(t.Context(), rt, blue))
	b.refuses.Store(rt.Host)
	other := db.Route{WorkloadID: 2, Host: "other.example.com"}
	for range 3 {
		if err := b.Upsert(t.Context(), rt, green); !errors.Is(err, errRefused) {
			t.Errorf("it says %v", err)
		}
		must(t, a.Upsert(t.Context(), rt, blue))
		must(t, a.Upsert(t.Context(), rt, green))
		must(t, b.Upsert(t.Context(), other, blue))
		must(t, a.Upsert(t.Context(), other, green)) // returns when b has it
		if got := b.local.Routes()[other.Host]; got != green.Name {
			t.Errorf("the other route leads to %q", got)
		}
		all, err := a.DB.LivingProcesses(t.Context())
		if must(t, err); !all[1].Serving {
			t.Error("it is not waited for")
		}
	}
	b.points(t, blue.Name)
	b.refuses.Store("")
	deadline := time.After(30 * time.Second)
	for b.local.Routes()[rt.Host] != green.Name || b.Upsert(t.Context(), rt, green) != nil {
		select {
		case <-deadline:
			t.Fatal("it never got the route")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TestRefusedRouteHidesNoOther: what is written between the look for changes and the look at a route that was refused is not taken for
// applied.
func TestRefusedRouteHidesNoOther(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 2)
	a, b := g.members[0], g.members[1]
	other := db.Route{WorkloadID: 2, Host: "other.example.com"}
	must(t, a.Upsert(t.Context(), rt, blue))
	must(t, a.Upsert(t.Context(), other, blue))
	b.refuses.Store(rt.Host)
	if err := b.Upsert(t.Context(), rt, green); !errors.Is(err, errRefused) {
		t.Fatalf("it says %v", err)
	}
	row, err := a.DB.RouteTarget(t.Context(), rt.Host)
	must(t, err)
	moved := make(chan struct{})
	move := func() {
		defer close(moved)
		for i, route := range []db.Route{other, rt} {
			route.MaxBody = int64(i + 1)
			_, err := a.DB.ChangeRoute(t.Context(), route.Host, db.Guard{}, func(db.RouteTarget) (db.RouteTarget, bool) {
				return db.RouteTarget{Route: route, Upstream: row.Upstream}, true
			})
			must(t, err)
		}
	}
	b.asked.Store(&move)
	<-moved
	other.MaxBody = 1
	must(t, a.Upsert(t.Context(), other, green)) // as it is: returns when b has said that it has it
	if got := b.local.Routes()[other.Host]; got != green.Name {
		t.Errorf("it leads to %q", got)
	}
}
