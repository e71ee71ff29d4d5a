package deploy_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// situation is one combination of what a pass may find of a workload, made real.
type situation struct {
	deleted bool
	row     bool
	work    string // "" or a key of works
	state   string // of what the row names
	target  string // of the route
	w       db.Workload
	live    *db.Release // what the row names
	other   db.Release  // another one of the workload, which runs; of the deployment in progress, where there is one
	before  map[db.ReleaseID]deploy.State
	dead    *db.Deployment // whose process is
}

func (s *situation) String() string {
	return fmt.Sprintf("%s: deleted %t, row %t, in progress %q, its release %s, route to %s", s.w.Name, s.deleted, s.row, s.work, s.state, s.target)
}

// works are deployments in progress: their strategy, phase, and whether their process lives and is the one that looks.
var works = map[string]struct {
	strategy    db.Strategy
	phase       db.Phase
	alive, ours bool
}{
	"building":       {"", db.PhaseBuilding, true, false},
	"in place":       {db.Recreate, db.PhaseStarting, true, false},
	"in place, dead": {db.Recreate, db.PhaseUndoing, false, false},
	"in place, ours": {db.Recreate, db.PhaseGating, true, true},
	"led":            {db.BlueGreen, db.PhaseGating, true, false},
	"lent":           {db.BlueGreen, db.PhaseGating, true, true},
	"abandoned":      {db.BlueGreen, db.PhaseRouting, false, false},
	"committed":      {db.BlueGreen, db.PhaseDraining, true, false},
}

var (
	liveStates = []string{"running", "exited", "missing"}
	targets    = []string{"nothing", "nobody", "live", "moved", "other", "gone", "foreign", "held"}
)

func situations() (all []*situation) {
	for _, deleted := range []bool{false, true} {
		for work := range maps.Keys(works) {
			all = append(all, &situation{deleted: deleted, work: work, state: "none", target: "other"}, &situation{deleted: deleted, work: work, state: "none", target: "nobody"})
		}
		for _, target := range targets {
			all = append(all, &situation{deleted: deleted, state: "none", target: target})
			for _, state := range liveStates {
				all = append(all, &situation{deleted: deleted, row: true, state: state, target: target})
				for work := range maps.Keys(works) {
					all = append(all, &situation{deleted: deleted, row: true, work: work, state: state, target: target})
				}
			}
		}
	}
	kept := all[:0]
	for _, s := range all {
		if s.work != "committed" || s.row { // the row is written with that phase
			kept = append(kept, s)
		}
	}
	return kept
}

// make makes it real in a world.
func (s *situation) make(w *world, n int) {
	t := w.t
	t.Helper()
	s.w = db.Workload{Name: fmt.Sprint("s", n), RepositoryID: w.repo.ID, Source: "dockerfile", Config: []byte(blueGreen),
		Host: fmt.Sprintf("s%d.example.com", n), Enabled: true}
	must(t, w.db.SaveWorkload(t.Context(), &s.w))
	if s.row {
		s.live = s.deployment(w, "a", db.PhaseReaping, db.BlueGreen, true).Release
	}
	s.other = db.Release{ID: deploy.BuildGreenName(s.w.Name, 1<<30), WorkloadID: s.w.ID, Workload: s.w.Name, Commit: "o", Port: 80}
	if kind, busy := works[s.work]; busy {
		dep := s.deployment(w, "b", kind.phase, kind.strategy, kind.alive)
		if kind.ours {
			w.deployer.Own(dep.LeaseOwner)
		}
		if kind.phase.Committed() {
			s.live = dep.Release
		} else {
			s.other = *dep.Release
		}
	}
	must2(t)(w.runtime.Start(t.Context(), s.other))
	if s.live != nil && s.state != "missing" {
		must2(t)(w.runtime.Start(t.Context(), *s.live))
		if s.state == "exited" {
			w.runtime.Exit(s.live.ID, 137)
		}
	}
	s.point(w)
	if s.deleted {
		must(t, w.db.DeleteWorkload(t.Context(), s.w.ID, false))
	}
	s.before = s.releases(w)
}

// deployment makes one as it is in a phase, and commits it where the phase says so. Reaping stands for one that has ended.
func (s *situation) deployment(w *world, letter string, phase db.Phase, strategy db.Strategy, alive bool) *db.Deployment {
	t := w.t
	t.Helper()
	w.workload = s.w
	queued := w.push(letter)
	dep, err := w.db.Claim(t.Context(), "reconcile", time.Hour)
	must(t, err)
	if dep == nil || dep.ID != queued.ID {
		t.Fatalf("claimed %+v", dep)
	}
	dep.Release = &db.Release{ID: deploy.BuildGreenName(s.w.Name, dep.ID), WorkloadID: s.w.ID, Workload: s.w.Name, DeploymentID: dep.ID,
		Commit: queued.Commit, Port: 80}
	dep.Strategy, dep.Phase = strategy, phase
	state := db.RuntimeState{WorkloadID: s.w.ID, DeploymentID: dep.ID, ReleaseID: dep.Release.ID, Commit: dep.Commit, Release: *dep.Release}
	if !phase.Committed() {
		must(t, w.db.Save(t.Context(), dep))
	} else {
		must(t, w.db.Commit(t.Context(), dep, state))
	}
	if phase == db.PhaseReaping {
		dep.Phase = db.PhaseLive
		must(t, w.db.Save(t.Context(), dep))
		must(t, w.db.MarkReported(t.Context(), db.CommitKey{RepositoryID: dep.RepositoryID, Commit: dep.Commit}, []db.Deployment{w.deployment(dep.ID)}))
	}
	if !alive {
		s.dead = dep
	}
	return dep
}

// point makes the route what the situation says.
func (s *situation) point(w *world) {
	t := w.t
	t.Helper()
	rt := db.Route{WorkloadID: s.w.ID, Host: s.w.Host}
	up := deploy.Upstream{}
	switch s.target {
	case "nothing":
		return
	case "live", "held", "moved":
		if s.live == nil {
			break
		}
		in, err := w.runtime.Inspect(t.Context(), s.live.ID)
		must(t, err)
		if up = in.Upstream; s.target == "moved" || up.Addr == "" {
			up = deploy.Upstream{Name: string(s.live.ID), Addr: "127.0.0.1:9", Port: 80}
		}
	case "other":
		in, err := w.runtime.Inspect(t.Context(), s.other.ID)
		must(t, err)
		up = in.Upstream
	case "gone":
		up = deploy.Upstream{Name: string(deploy.BuildGreenName(s.w.Name, 0)), Addr: "127.0.0.1:9", Port: 80}
	case "foreign":
		up = deploy.Upstream{Name: "somebody", Addr: "127.0.0.1:9", Port: 80}
	}
	must(t, w.router.Upsert(t.Context(), rt, up))
	if s.target == "held" {
		must(t, w.router.Hold(t.Context(), rt))
	}
}

// releases are those of the workload.
func (s *situation) releases(w *world) map[db.ReleaseID]deploy.State {
	w.t.Helper()
	list, err := w.runtime.List(w.t.Context())
	must(w.t, err)
	found := map[db.ReleaseID]deploy.State{}
	for _, in := range list {
		if in.WorkloadID == s.w.ID {
			found[in.ID] = in.State
		}
	}
	return found
}

// watched are a runtime and a router that know the laws.
type watched struct {
	*deploytest.Runtime
	w    *world
	what map[int64]*situation
	did  []string // what was done to releases
}

func (l *watched) law(ok bool, format string, args ...any) {
	l.w.t.Helper()
	if !ok {
		l.w.t.Errorf(format, args...)
	}
}

func (l *watched) Start(ctx context.Context, r db.Release) (deploy.Instance, error) {
	s := l.what[r.WorkloadID]
	l.did = append(l.did, "start "+string(r.ID))
	l.law(!s.deleted && s.live != nil && s.live.ID == r.ID, "%s: %s is started", s, r.ID)
	l.law(!strings.HasPrefix(s.work, "in place") && s.work != "led", "%s: what another process may have stopped is started", s)
	return l.Runtime.Start(ctx, r)
}

func (l *watched) Stop(ctx context.Context, id db.ReleaseID) error {
	l.ended(ctx, id, "stop ")
	return l.Runtime.Stop(ctx, id)
}

func (l *watched) Remove(ctx context.Context, id db.ReleaseID) error {
	l.ended(ctx, id, "remove ")
	return l.Runtime.Remove(ctx, id)
}

func (l *watched) ended(ctx context.Context, id db.ReleaseID, how string) {
	in, err := l.Inspect(ctx, id)
	must(l.w.t, err)
	s := l.what[in.WorkloadID]
	if s == nil {
		l.w.t.Errorf("%s%s: it is nobody's", how, id)
		return
	}
	l.did = append(l.did, how+string(id))
	l.law(s.work == "", "%s: %s%s, while a deployment is in progress", s, how, id)
	l.law(s.deleted || s.live == nil || s.live.ID != id, "%s: %s%s, which serves", s, how, id)
	l.law(l.w.router.Routes()[s.w.Host] != string(id), "%s: %s%s, to which the route leads", s, how, id)
}

// leads is the law of a route that is led somewhere.
type leads struct {
	*deploytest.Router
	l *watched
}

func (r leads) Upsert(ctx context.Context, rt db.Route, up deploy.Upstream) error {
	s := r.l.what[rt.WorkloadID]
	if up != (deploy.Upstream{}) {
		in, err := r.l.Inspect(ctx, db.ReleaseID(up.Name))
		must(r.l.w.t, err)
		r.l.law(!s.deleted && s.live != nil && in.ID == s.live.ID && in.Upstream == up, "%s: the route is led to %+v", s, up)
	}
	return r.Router.Upsert(ctx, rt, up)
}

// TestEverySituation makes every combination of row, deployment in progress, release and route at once, lets the recovery
// pass, and holds what it does against the laws.
func TestEverySituation(t *testing.T) {
	t.Parallel()
	w := newWorldIn(t, migratedCopy(t), "dockerfile", blueGreen)
	all := situations()
	l := &watched{w: w, what: map[int64]*situation{}}
	l.what[w.workload.ID] = &situation{w: w.workload}
	for n, s := range all {
		s.make(w, n)
		l.what[s.w.ID] = s
	}
	l.Runtime = w.runtime
	for _, s := range all {
		if s.dead != nil { // only now, since it can be claimed from here on
			must(t, w.db.HandOver(t.Context(), s.dead))
		}
	}
	w.deployer.Runtime, w.deployer.Router = l, leads{w.router, l}
	w.pass()
	for _, s := range all {
		s.check(w)
	}
	routes := w.router.Routes()
	l.did = nil
	w.pass()
	if len(l.did) > 0 || !maps.Equal(routes, w.router.Routes()) {
		t.Errorf("another pass has done %q, and routes %v became %v", l.did, routes, w.router.Routes())
	}
	t.Logf("%d situations", len(all))
}

// check checks what a pass has made of it.
func (s *situation) check(w *world) {
	w.t.Helper()
	routed, isRoute := w.router.Routes()[s.w.Host]
	now := s.releases(w)
	switch {
	case s.work == "" && (s.deleted || !s.row):
		if len(now) > 0 || routed != "" || isRoute == s.deleted {
			w.t.Errorf("%s: left are %v, and a route to %q", s, now, routed)
		}
	case s.work == "":
		if len(now) != 1 || now[s.live.ID] != deploy.Running || routed != string(s.live.ID) || w.router.Held(s.w.Host) {
			w.t.Errorf("%s: there are %v, and a route to %q", s, now, routed)
		}
	case s.deleted:
		if !maps.Equal(now, s.before) {
			w.t.Errorf("%s: %v became %v", s, s.before, now)
		}
	default:
		s.checkBusy(w, now, routed)
	}
}

// checkBusy checks what a pass has left to the deployment in progress.
func (s *situation) checkBusy(w *world, now map[db.ReleaseID]deploy.State, routed string) {
	w.t.Helper()
	mends := s.row && (s.work == "building" || s.work == "lent" || s.work == "abandoned" || s.work == "committed")
	inPlace := s.row && strings.HasPrefix(s.work, "in place")
	nowhere := s.target == "nothing" || s.target == "nobody"
	if now[s.other.ID] != deploy.Running {
		w.t.Errorf("%s: the release in progress is gone", s)
	}
	switch {
	case mends && (now[s.live.ID] != deploy.Running || routed != string(s.live.ID) || w.router.Held(s.w.Host)):
		w.t.Errorf("%s: there are %v, and a route to %q", s, now, routed)
	case !mends && !maps.Equal(now, s.before):
		w.t.Errorf("%s: %v became %v", s, s.before, now)
	case !s.row && w.router.Held(s.w.Host):
		w.t.Errorf("%s: requests wait, though nothing ever served", s)
	case inPlace && w.router.Held(s.w.Host) != (nowhere || s.target == "held"):
		w.t.Errorf("%s: the route is held: %t", s, w.router.Held(s.w.Host))
	case s.row && s.work == "led" && s.state == "running" && (nowhere || s.target == "moved") && !s.leads(w):
		w.t.Errorf("%s: the route leads to %q", s, routed)
	}
}

// leads tells whether the route leads to where what serves answers.
func (s *situation) leads(w *world) bool {
	w.t.Helper()
	up, err := w.router.Current(w.t.Context(), db.Route{Host: s.w.Host})
	must(w.t, err)
	in, err := w.runtime.Inspect(w.t.Context(), s.live.ID)
	must(w.t, err)
	return up == in.Upstream
}
