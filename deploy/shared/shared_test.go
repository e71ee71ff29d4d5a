package shared_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/db/migratedtest"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
	"tinyforge/deploy/shared"
)

// group is several processes on one PostgreSQL.
type group struct {
	testing.TB
	address string
	keys    *db.Keyring
	members []*member
}

// member is a process with a proxy of its own.
type member struct {
	*shared.Router
	local    *deploytest.Router
	reserved atomic.Value           // []string
	refuses  atomic.Value           // string: the host whose route its proxy does not take
	asked    atomic.Pointer[func()] // called once when reserved is asked for
	listened chan struct{}
	kill     func() // without a word
	leave    func()
}

func newGroup(t testing.TB, n int) *group {
	t.Helper()
	keys, err := db.NewKeyring()
	must(t, err)
	g := &group{TB: t, address: migratedtest.Postgres(t), keys: keys}
	for range n {
		g.join(deploytest.NewRouter(nil))
	}
	return g
}

// join starts a process with this proxy.
func (g *group) join(local *deploytest.Router) *member {
	g.Helper()
	return g.start(g.member(local))
}

func (g *group) start(m *member) *member {
	g.Helper()
	listening, stop := context.WithCancel(context.Background())
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { _ = m.DB.Listen(listening) }()
	go func() {
		defer close(ended)
		_ = m.Run(ctx, func(ctx context.Context) error { close(m.listened); <-ctx.Done(); return nil })
	}()
	m.leave = func() { end(); <-ended; stop() }
	m.kill = func() { stop(); _ = m.DB.Close() }
	g.Cleanup(func() { end(); stop(); <-ended; _ = m.DB.Close() })
	<-m.listened
	g.members = append(g.members, m)
	return m
}

// member makes one that does not run yet.
func (g *group) member(local *deploytest.Router) *member {
	g.Helper()
	store, err := db.Open(g.Context(), g.address, g.keys)
	must(g, err)
	m := &member{local: local, listened: make(chan struct{})}
	m.reserved.Store([]string(nil))
	m.refuses.Store("")
	m.Router = shared.New(shared.Config{
		DB: store, Local: picky{m.local, &m.refuses}, Away: func(err error) bool { return errors.Is(err, errAway) }, Log: slog.New(slog.NewTextHandler(g.Output(), nil)),
		Process: db.Process{ID: string(rune('a' + len(g.members))), Host: "here", Engine: "one", Runtimes: []string{"docker"}},
		Reserved: func() ([]string, error) {
			if f := m.asked.Swap(nil); f != nil {
				(*f)()
			}
			return m.reserved.Load().([]string), nil
		},
		Hosts: func() []string { return slices.Collect(maps.Keys(m.local.Routes())) },
	})
	return m
}

// fixture sends requests through the proxies in turn.
func (g *group) fixture() deploytest.RouterFixture {
	var turn atomic.Int64
	next := func() *deploytest.Router { return g.members[int(turn.Add(1))%len(g.members)].local }
	return deploytest.RouterFixture{
		Router: g.members[0],
		Get:    func(host, path string) (int, string) { return next().Get(host, path) },
		Do:     func(r *http.Request) (*http.Response, error) { return next().Do(r) },
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAlone(t *testing.T) {
	t.Parallel()
	deploytest.ExerciseRouter(t, func(t *testing.T) deploytest.RouterFixture { return newGroup(t, 1).fixture() })
}

// TestThree: whoever of three proxies is asked has what one of the processes ordered.
func TestThree(t *testing.T) {
	t.Parallel()
	deploytest.ExerciseRouter(t, func(t *testing.T) deploytest.RouterFixture { return newGroup(t, 3).fixture() })
}

var (
	rt    = db.Route{WorkloadID: 1, Host: "www.example.com"}
	blue  = deploy.Upstream{Name: "tf-web-1", Addr: "127.0.0.1:1", Port: 80}
	green = deploy.Upstream{Name: "tf-web-2", Addr: "127.0.0.1:2", Port: 80}
)

func (m *member) points(t *testing.T, want string) {
	t.Helper()
	if got := m.local.Routes()[rt.Host]; got != want {
		t.Errorf("process %s leads to %q, want %q", m.Process.ID, got, want)
	}
}

// TestRoutesBeforeAnybodyConnects: a process that starts has every route before its proxy accepts, held ones held, and none that is gone.
func TestRoutesBeforeAnybodyConnects(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1)
	a := g.members[0]
	held := db.Route{WorkloadID: 2, Host: "held.example.com"}
	must(t, a.Upsert(t.Context(), rt, blue))
	must(t, a.Upsert(t.Context(), held, blue))
	must(t, a.Hold(t.Context(), held))
	local := deploytest.NewRouter(nil)
	must(t, local.Upsert(t.Context(), db.Route{Host: "gone.example.com"}, blue))
	b := g.join(local)
	want := map[string]string{rt.Host: blue.Name, held.Host: blue.Name}
	if got := b.local.Routes(); !maps.Equal(got, want) || !b.local.Held(held.Host) || b.local.Held(rt.Host) {
		t.Errorf("it begins with %v", got)
	}
}

// TestFirstRows: a proxy that served before there were rows goes on with what it has, until somebody knows better. What has a row already
// is led to nobody when that is what is asked for.
func TestFirstRows(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 0)
	local := deploytest.NewRouter(nil)
	must(t, local.Upsert(t.Context(), rt, blue))
	cleared := db.Route{WorkloadID: 2, Host: "cleared.example.com"}
	must(t, local.Upsert(t.Context(), cleared, blue))
	m := g.member(local)
	fresh := db.Route{WorkloadID: 3, Host: "fresh.example.com"}
	for _, route := range []db.Route{rt, cleared, fresh, cleared} {
		must(t, m.Upsert(t.Context(), route, deploy.Upstream{}))
	}
	want := map[string]string{rt.Host: blue.Name, cleared.Host: "", fresh.Host: ""}
	if got := g.start(m).local.Routes(); !maps.Equal(got, want) {
		t.Errorf("it begins with %v, want %v", got, want)
	}
	must(t, m.Upsert(t.Context(), rt, deploy.Upstream{}))
	m.points(t, "")
}

// TestKilledIsNotWaitedForLong: and what it missed it has at once when it is back.
func TestKilledIsNotWaitedForLong(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 2)
	a, b := g.members[0], g.members[1]
	must(t, a.Upsert(t.Context(), rt, blue))
	b.points(t, blue.Name)
	b.kill()
	must(t, a.Upsert(t.Context(), rt, green)) // which waits until b counts as dead, and no longer
	a.points(t, green.Name)
	b.points(t, blue.Name)
	alive, err := a.DB.LivingProcesses(t.Context())
	if err != nil || len(alive) != 1 {
		t.Errorf("alive are %+v, %v", alive, err)
	}
	c := g.join(b.local)
	c.points(t, green.Name)
}

// TestLeft: who ends in order is not waited for.
func TestLeft(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 2)
	g.members[1].leave()
	if alive, err := g.members[0].DB.LivingProcesses(t.Context()); err != nil || len(alive) != 1 {
		t.Errorf("alive are %+v, %v", alive, err)
	}
}

// TestThoughtDead: a process that the others did not wait for reads everything anew, also what was deleted and forgotten.
func TestThoughtDead(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 2)
	a, b := g.members[0], g.members[1]
	must(t, a.Upsert(t.Context(), rt, blue))
	other := db.Route{WorkloadID: 2, Host: "other.example.com"}
	must(t, b.local.Upsert(t.Context(), other, blue)) // as if its row were forgotten
	must(t, a.DB.LeaveProcess(t.Context(), b.Process.ID))
	deadline := time.After(30 * time.Second)
	for len(b.local.Routes()) != 1 {
		select {
		case <-deadline:
			t.Fatalf("it has %v", b.local.Routes())
		case <-time.After(20 * time.Millisecond):
		}
	}
	must(t, a.Upsert(t.Context(), rt, green))
	b.points(t, green.Name)
}

// TestReserved: a host that is Tinyforge's own is refused, and is the workload's when it is not that any more.
func TestReserved(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 2)
	a, b := g.members[0], g.members[1]
	refuses := &deploy.Failure{Text: "it is Tinyforge's own host", Err: deploy.ErrReserved}
	a.local.SetHook(deploytest.FailAt("router.upsert:before", refuses))
	a.reserved.Store([]string{rt.Host})
	if err := a.Upsert(t.Context(), rt, blue); !errors.Is(err, deploy.ErrReserved) {
		t.Errorf("it says %v", err)
	}
	b.points(t, "")
	must(t, b.Upsert(t.Context(), rt, blue)) // which a does not take, and confirms
	b.points(t, blue.Name)
	a.local.SetHook(nil)
	a.reserved.Store([]string(nil))
	must(t, b.Upsert(t.Context(), db.Route{WorkloadID: 3, Host: "next.example.com"}, blue))
	a.points(t, blue.Name)
}

// TestSince: who decides by what is not true any more changes nothing; who moved it himself does.
func TestSince(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 2)
	a, b := g.members[0], g.members[1]
	must(t, a.Upsert(t.Context(), rt, blue))
	stale, err := b.Since(t.Context())
	must(t, err)
	must(t, stale.Upsert(t.Context(), rt, green))
	must(t, stale.Upsert(t.Context(), rt, blue))
	must(t, a.Hold(t.Context(), rt))
	for what, err := range map[string]error{"upsert": stale.Upsert(t.Context(), rt, green), "let go": stale.Upsert(t.Context(), rt, blue), "delete": stale.Delete(t.Context(), rt)} {
		if !errors.Is(err, db.ErrMoved) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if !a.local.Held(rt.Host) || !b.local.Held(rt.Host) {
		t.Error("those who wait were let go")
	}
}

// TestNothingToWrite: a pass of the recovery, which upserts every route, writes nothing when all is well.
func TestNothingToWrite(t *testing.T) {
	t.Parallel()
	a := newGroup(t, 1).members[0]
	must(t, a.Upsert(t.Context(), rt, blue))
	was, err := a.DB.RouteVersion(t.Context())
	must(t, err)
	calls := len(a.local.Calls())
	for range 3 {
		must(t, a.Upsert(t.Context(), rt, blue))
	}
	if is, err := a.DB.RouteVersion(t.Context()); err != nil || is != was || len(a.local.Calls()) != calls {
		t.Errorf("version %d, then %d, %v; calls %q", was, is, err, a.local.Calls()[calls:])
	}
}

// TestTakenOver: who takes a deployment over points its route where it led already, and what was decided before that changes it no more.
func TestTakenOver(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 2)
	a, b := g.members[0], g.members[1]
	dep := g.claimed(a.DB)
	ctx := deploy.WithLease(t.Context(), dep.ID, dep.LeaseOwner)
	for i, taken := range []func() error{
		func() error { return a.Upsert(ctx, rt, green) },
		func() error { return a.Hold(ctx, rt) },
	} {
		must(t, taken())
		stale, err := b.Since(t.Context())
		must(t, err)
		must(t, taken())
		if err := stale.Upsert(t.Context(), rt, blue); !errors.Is(err, db.ErrMoved) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// claimed is a deployment under a lease.
func (g *group) claimed(store *db.DB) *db.Deployment {
	g.Helper()
	forge := db.Forge{Name: "hub", Kind: "gitea", URL: "https://git.example.com"}
	must(g, store.SaveForge(g.Context(), &forge))
	repo := db.Repository{ForgeID: forge.ID, ExternalID: 1, FullName: "acme/site", DefaultBranch: "main"}
	must(g, store.SaveRepository(g.Context(), &repo))
	w := db.Workload{Name: "site", RepositoryID: repo.ID, Source: "dockerfile", Host: rt.Host, Enabled: true, Config: []byte(`{"port":8080}`)}
	must(g, store.SaveWorkload(g.Context(), &w))
	commit := strings.Repeat("a", 40)
	_, err := store.Enqueue(g.Context(), &db.Delivery{ForgeID: forge.ID, ExternalID: "1", Event: "push", RepositoryID: repo.ID,
		Ref: "refs/heads/main", Before: strings.Repeat("0", 40), After: commit}, []db.Deployment{{WorkloadID: w.ID, Ref: "refs/heads/main", Commit: commit}})
	must(g, err)
	dep, err := store.Claim(g.Context(), "a", time.Hour)
	must(g, err)
	return dep
}
