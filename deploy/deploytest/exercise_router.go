package deploytest

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

// RouterFixture is a Router to exercise and the way through it.
type RouterFixture struct {
	Router deploy.Router
	// Get asks for a path of a host through the proxy: status 0 with the error as body when no answer came. It is called
	// from several goroutines.
	Get func(host, path string) (status int, body string)
	// Do sends a request through the proxy to the host of its URL, and follows no redirect. It may be nil for a Router whose
	// Check refuses redirects and all options.
	Do func(*http.Request) (*http.Response, error)
	// Absent is what a host without a route is answered; 0 means 404. Nginx Proxy Manager answers its default page with 200.
	Absent int
	// Blind says that the proxy does not tell what is in flight: Drain may return early, and cannot end anything.
	Blind bool
}

// ExerciseRouter is the suite that every Router passes. setup is called once for each case. What a Router's Check refuses
// is not asked of it.
func ExerciseRouter(t *testing.T, setup func(t *testing.T) RouterFixture) {
	cases := map[string]func(*testing.T, RouterFixture){
		"absent":            routerAbsent,
		"S8_upsert repoint": routerRepoint,
		"same again":        routerSameAgain,
		"new address":       routerNewAddress,
		"no upstream":       routerNoUpstream,
		"delete":            routerDelete,
		"host spelling":     routerSpelling,
		"nothing to drain":  routerNothingToDrain,
		"drain waits":       routerDrainWaits,
		"drain is bounded":  routerDrainBounded,
		"drain over":        routerDrainOver,
		"drain abandoned":   routerDrainAbandoned,
		"hold":              routerHold,
		"hold undone":       routerHoldUndone,
		"S8_under load":     routerUnderLoad,
		"several hosts":     routerSeveralHosts,
		"listed":            routerListed,
		"redirect":          routerRedirect,
		"redirect empty":    routerRedirectEmpty,
		"paths":             routerPaths,
		"strip prefix":      routerStripPrefix,
		"basic auth":        routerBasicAuth,
		"max body":          routerMaxBody,
		"other options":     routerOtherOptions,
		"S8_other options":  routerOptionsUnderWay,
		"refused":           routerRefused,
	}
	for name, run := range cases {
		t.Run(name, func(t *testing.T) { run(t, setup(t)) })
	}
}

const routeHost = "www.example.com"

func routerAbsent(t *testing.T, f RouterFixture) {
	rt := db.Route{WorkloadID: 1, Host: routeHost}
	if _, err := f.Router.Current(t.Context(), rt); !errors.Is(err, deploy.ErrNoRoute) {
		t.Errorf("Current of an absent route: %v, want ErrNoRoute", err)
	}
	noFault(t, "delete", f.Router.Delete(t.Context(), rt))
	if err := f.Router.Hold(t.Context(), rt); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Hold of an absent route: %v", err)
	}
	f.wants(t, routeHost, f.absent(), "")
}

func routerRepoint(t *testing.T, f RouterFixture) {
	rt := db.Route{WorkloadID: 1, Host: routeHost}
	other := db.Route{WorkloadID: 2, Host: "other.example.com"}
	blue, green, third := newSite(t, "tf-web-1"), newSite(t, "tf-web-2"), newSite(t, "tf-other-1")
	noFault(t, "upsert", f.Router.Upsert(t.Context(), other, third.up))
	for _, b := range []*site{blue, green, blue} {
		noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, b.up))
		f.wants(t, routeHost, http.StatusOK, b.up.Name)
		f.points(t, rt, b.up)
	}
	f.wants(t, other.Host, http.StatusOK, third.up.Name)
}

func routerSameAgain(t *testing.T, f RouterFixture) {
	rt := db.Route{WorkloadID: 1, Host: routeHost}
	blue := newSite(t, "tf-web-1")
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, blue.up))
	slow := blue.slowGet(t, f)
	for range 3 {
		noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, blue.up))
		f.wants(t, routeHost, http.StatusOK, blue.up.Name)
	}
	f.points(t, rt, blue.up)
	blue.release()
	slow.wants(t, http.StatusOK, blue.up.Name)
}

func routerNewAddress(t *testing.T, f RouterFixture) {
	rt := db.Route{WorkloadID: 1, Host: routeHost}
	before, after := newSite(t, "tf-web-1"), newSite(t, "tf-web-1")
	after.answer.Store("moved")
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, before.up))
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, after.up))
	f.wants(t, routeHost, http.StatusOK, "moved")
	f.points(t, rt, after.up)
}

func routerNoUpstream(t *testing.T, f RouterFixture) {
	rt := db.Route{WorkloadID: 1, Host: routeHost}
	blue := newSite(t, "tf-web-1")
	for range 2 {
		noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, deploy.Upstream{}))
		f.wants(t, routeHost, http.StatusServiceUnavailable, "")
		f.points(t, rt, deploy.Upstream{})
		noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, blue.up))
		f.wants(t, routeHost, http.StatusOK, blue.up.Name)
	}
}

func routerDelete(t *testing.T, f RouterFixture) {
	rt, other := db.Route{WorkloadID: 1, Host: routeHost}, db.Route{WorkloadID: 2, Host: "other.example.com"}
	blue := newSite(t, "tf-web-1")
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, blue.up))
	noFault(t, "upsert", f.Router.Upsert(t.Context(), other, blue.up))
	for range 2 {
		noFault(t, "delete", f.Router.Delete(t.Context(), rt))
		f.wants(t, routeHost, f.absent(), "")
	}
	if _, err := f.Router.Current(t.Context(), rt); !errors.Is(err, deploy.ErrNoRoute) {
		t.Errorf("Current of a deleted route: %v, want ErrNoRoute", err)
	}
	f.wants(t, other.Host, http.StatusOK, blue.up.Name)
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, blue.up))
	f.wants(t, routeHost, http.StatusOK, blue.up.Name)
}

func routerSpelling(t *testing.T, f RouterFixture) {
	blue := newSite(t, "tf-web-1")
	noFault(t, "upsert", f.Router.Upsert(t.Context(), db.Route{WorkloadID: 1, Host: routeHost}, blue.up))
	f.wants(t, "WWW.Example.COM", http.StatusOK, blue.up.Name)
	f.wants(t, "sub."+routeHost, f.absent(), "")
	f.wants(t, "example.com", f.absent(), "")
}

func routerNothingToDrain(t *testing.T, f RouterFixture) {
	rt := db.Route{WorkloadID: 1, Host: routeHost}
	blue, green := newSite(t, "tf-web-1"), newSite(t, "tf-web-2")
	noFault(t, "drain of an absent route", f.Router.Drain(t.Context(), rt, blue.up))
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, blue.up))
	f.wants(t, routeHost, http.StatusOK, blue.up.Name)
	noFault(t, "drain of an upstream never routed", f.Router.Drain(t.Context(), rt, green.up))
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, green.up))
	for range 2 {
		noFault(t, "drain of an idle upstream", f.Router.Drain(t.Context(), rt, blue.up))
	}
	noFault(t, "delete", f.Router.Delete(t.Context(), rt))
	noFault(t, "drain after delete", f.Router.Drain(t.Context(), rt, green.up))
}

func routerDrainWaits(t *testing.T, f RouterFixture) {
	if f.Blind {
		return
	}
	rt, blue, green, slow := f.moved(t)

	var released atomic.Bool
	drained := make(chan error, 1)
	go func() {
		err := f.Router.Drain(t.Context(), rt, blue.up)
		if !released.Load() {
			err = errors.Join(err, errors.New("drain returned while a request was in flight"))
		}
		drained <- err
	}()
	f.wants(t, routeHost, http.StatusOK, green.up.Name)
	released.Store(true)
	blue.release()
	noFault(t, "drain", <-drained)
	slow.wants(t, http.StatusOK, blue.up.Name)
}

func routerDrainBounded(t *testing.T, f RouterFixture) {
	if f.Blind {
		return
	}
	rt, blue, green, slow := f.moved(t)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := f.Router.Drain(ctx, rt, blue.up); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drain past its bound: %v, want the context's error", err)
	}
	if a := slow.get(t); a.status == http.StatusOK {
		t.Errorf("the request that was left is answered with %d %q, want it ended", a.status, a.body)
	}
	f.wants(t, routeHost, http.StatusOK, green.up.Name)
	noFault(t, "drain again", f.Router.Drain(t.Context(), rt, blue.up))
}

// routerDrainOver: who asks when the time of the drain is over already has what is left ended all the same.
func routerDrainOver(t *testing.T, f RouterFixture) {
	if f.Blind {
		return
	}
	rt, blue, _, slow := f.moved(t)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if err := f.Router.Drain(ctx, rt, blue.up); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drain past its bound: %v, want the context's error", err)
	}
	if a := slow.get(t); a.status == http.StatusOK {
		t.Errorf("the request that was left is answered with %d %q, want it ended", a.status, a.body)
	}
}

func routerHold(t *testing.T, f RouterFixture) {
	rt := db.Route{WorkloadID: 1, Host: routeHost}
	blue, green := newSite(t, "tf-web-1"), newSite(t, "tf-web-2")
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, blue.up))
	slow := blue.slowGet(t, f)
	if err := f.Router.Hold(t.Context(), rt); errors.Is(err, errors.ErrUnsupported) {
		blue.release()
		return
	} else if err != nil {
		t.Fatalf("hold: %v", err)
	}
	noFault(t, "hold again", f.Router.Hold(t.Context(), rt))
	f.points(t, rt, blue.up)

	held := f.visit(routeHost, "/")
	blue.release()
	slow.wants(t, http.StatusOK, blue.up.Name)
	noFault(t, "drain while held", f.Router.Drain(t.Context(), rt, blue.up))
	blue.server.Close()
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, green.up))
	held.wants(t, http.StatusOK, green.up.Name)
	f.wants(t, routeHost, http.StatusOK, green.up.Name)
	if n := blue.requests.Load(); n != 1 {
		t.Errorf("the held route's upstream got %d requests, want the 1 before the hold", n)
	}
}

func routerHoldUndone(t *testing.T, f RouterFixture) {
	rt := db.Route{WorkloadID: 1, Host: routeHost}
	blue := newSite(t, "tf-web-1")
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, blue.up))
	if err := f.Router.Hold(t.Context(), rt); errors.Is(err, errors.ErrUnsupported) {
		return
	}
	held := f.visit(routeHost, "/")
	noFault(t, "drain", f.Router.Drain(t.Context(), rt, blue.up))
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, blue.up))
	held.wants(t, http.StatusOK, blue.up.Name)
	f.wants(t, routeHost, http.StatusOK, blue.up.Name)
	f.points(t, rt, blue.up)
}

func routerUnderLoad(t *testing.T, f RouterFixture) {
	rt := db.Route{WorkloadID: 1, Host: routeHost}
	sites := []*site{newSite(t, "tf-web-1"), newSite(t, "tf-web-2")}
	noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, sites[0].up))
	moves, visitors := 50, 8
	if f.Blind { // each move waits for its probes, and so for the visitors
		moves, visitors = 20, 4
	}
	stop, done := make(chan struct{}), make(chan [2]int)
	for range visitors {
		go func() {
			var ok, failed int
			defer func() { done <- [2]int{ok, failed} }()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if status, _ := f.Get(routeHost, "/"); status == http.StatusOK {
					ok++
				} else {
					failed++
				}
			}
		}()
	}
	for i := range moves {
		b := sites[i%2]
		noFault(t, "upsert", f.Router.Upsert(t.Context(), rt, b.up))
		f.wants(t, routeHost, http.StatusOK, b.up.Name)
	}
	close(stop)
	for range visitors {
		if n := <-done; n[1] > 0 || n[0] == 0 {
			t.Errorf("%d requests answered, %d failed", n[0], n[1])
		}
	}
}

// visit starts a request.
func (f RouterFixture) visit(host, path string) visit {
	p := make(visit, 1)
	go func() {
		status, body := f.Get(host, path)
		p <- answered{status, body}
	}()
	return p
}

// wants asks for the root of a host. A body of "" is not compared.
func (f RouterFixture) wants(t *testing.T, host string, status int, body string) {
	t.Helper()
	s, b := f.Get(host, "/")
	if s != status || body != "" && b != body {
		t.Errorf("GET %s: %d %q, want %d %q", host, s, b, status, body)
	}
}

func (f RouterFixture) absent() int { return cmp.Or(f.Absent, http.StatusNotFound) }

func (f RouterFixture) points(t *testing.T, rt db.Route, want deploy.Upstream) {
	t.Helper()
	up, err := f.Router.Current(t.Context(), rt)
	if err != nil || up != want {
		t.Errorf("Current: %+v, %v, want %+v", up, err, want)
	}
}

func noFault(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}
