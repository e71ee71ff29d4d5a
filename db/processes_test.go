package db_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"tinyforge/db"
)

// process joins a process that has applied a version.
func (f *fixture) process(id string, applied int64) db.Process {
	f.t.Helper()
	p := db.Process{ID: id, Host: "here", Engine: "engine", Runtimes: []string{"docker"}, Serving: true, Applied: applied}
	f.check(f.JoinProcess(f.t.Context(), p))
	return p
}

// silent makes a process one that has said nothing for this long.
func (f *fixture) silent(id string, since time.Duration) {
	f.t.Helper()
	_, err := f.Bun().NewUpdate().Table("processes").Set("seen_at = ?", time.Now().UTC().Add(-since)).Where("id = ?", id).Exec(f.t.Context())
	f.check(err)
}

func (f *fixture) living() (ids []string) {
	f.t.Helper()
	all, err := f.LivingProcesses(f.t.Context())
	f.check(err)
	for _, p := range all {
		if p.Host != "here" || !slices.Equal(p.Runtimes, []string{"docker"}) {
			f.t.Errorf("a process is %+v", p)
		}
		ids = append(ids, p.ID)
	}
	return ids
}

func TestProcessesComeAndGo(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		a, b := f.process("a", 0), f.process("b", 0)
		if got := f.living(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("alive are %q", got)
		}
		f.silent("b", db.ProcessDead+time.Second)
		if got := f.living(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("alive are %q after b fell silent", got)
		}
		for p, want := range map[string]bool{a.ID: true, b.ID: false, "never": false} {
			if alive, err := f.BeatProcess(t.Context(), db.Process{ID: p, Engine: "engine", Serving: true}, false); err != nil || alive != want {
				t.Errorf("beat of %s: %v, %v", p, alive, err)
			}
		}
		f.process("b", 0) // which is told and joins again
		if got := f.living(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("alive are %q after b came back", got)
		}
		f.check(f.LeaveProcess(t.Context(), "a"))
		f.silent("b", time.Hour)
		f.check(f.TidyProcesses(t.Context()))
		if n, err := f.Bun().NewSelect().Table("processes").Count(t.Context()); err != nil || n != 0 {
			t.Errorf("%d rows are left, %v", n, err)
		}
	})
}

// One that deploys to another Docker is refused, whenever that is found out; of two that begin at the same moment one is.
func TestProcessesAgreeOnDocker(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		join := func(id, engine string, runtimes ...string) error {
			return f.JoinProcess(t.Context(), db.Process{ID: id, Host: "on " + id, Engine: engine, Runtimes: runtimes})
		}
		refused := func(what string, err error) {
			t.Helper()
			if other, ok := errors.AsType[*db.EngineError](err); !ok || other.Host != "on a" {
				t.Errorf("%s: %v", what, err)
			}
		}
		f.check(join("a", "one", "docker", "swarm"))
		f.check(join("b", "one", "docker"))
		f.check(join("c", "two", "swarm"))
		f.check(join("d", "", "docker"))
		refused("joins", join("e", "two", "docker"))
		refused("is known late", f.IdentifyProcess(t.Context(), "d", "two"))
		f.check(f.IdentifyProcess(t.Context(), "d", "one"))
		f.check(join("d", "", "docker")) // again, and its Docker is still known
		if err := f.IdentifyProcess(t.Context(), "never", "one"); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("one that never joined: %v", err)
		}
		all, err := f.LivingProcesses(t.Context())
		if f.check(err); len(all) != 4 || all[3].Engine != "one" {
			t.Errorf("alive are %+v", all)
		}
		for _, p := range all {
			f.silent(p.ID, time.Hour)
		}
		ended := make(chan error, 8)
		for i := range cap(ended) {
			go func() { ended <- join(string(rune('p'+i)), string(rune('p'+i)), "docker") }()
		}
		refusals := 0
		for range cap(ended) {
			if _, ok := errors.AsType[*db.EngineError](<-ended); ok {
				refusals++
			}
		}
		if refusals != cap(ended)-1 {
			t.Errorf("%d of %d were refused", refusals, cap(ended))
		}
	})
}

// point is ChangeRoute to an upstream.
func (f *fixture) point(host, up string, g db.Guard) (int64, error) {
	return f.ChangeRoute(f.t.Context(), host, g, func(was db.RouteTarget) (db.RouteTarget, bool) {
		is := db.RouteTarget{Route: db.Route{Host: host, RouteOptions: db.RouteOptions{BasicAuth: []db.BasicAuth{{Username: "ann", Hash: "hash"}}}}, Upstream: up}
		return is, !is.SameAs(was)
	})
}

func TestRouteTargets(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		wake, cancel := f.Subscribe(db.TopicRoutes)
		defer cancel()
		one, err := f.point("a.test", "1", db.Guard{})
		f.check(err)
		woken(t, wake)
		two, err := f.point("b.test", "2", db.Guard{})
		f.check(err)
		woken(t, wake)
		if again, err := f.point("a.test", "1", db.Guard{}); err != nil || again != one {
			t.Errorf("nothing was changed: version %d, %v", again, err)
		}
		asleep(t, "no change", wake)
		three, err := f.point("a.test", "3", db.Guard{Since: two})
		f.check(err)
		if _, err := f.point("a.test", "4", db.Guard{Since: two}); !errors.Is(err, db.ErrMoved) {
			t.Errorf("what was moved since is moved back: %v", err)
		}
		if !(one < two && two < three) {
			t.Errorf("versions %d, %d, %d", one, two, three)
		}
		list, err := f.RouteTargets(t.Context(), one)
		f.check(err)
		if len(list) != 2 || list[0].Upstream != "2" || list[1].Upstream != "3" || list[1].Version != three || list[1].Route.BasicAuth[0].Hash != "hash" {
			t.Errorf("changed are %+v", list)
		}
		f.process("a", three)
		f.process("b", two)
		f.process("dead", 0)
		f.silent("dead", db.ProcessDead+time.Second)
		if ids, err := f.Unconfirmed(t.Context(), three, "a"); err != nil || !slices.Equal(ids, []string{"b"}) {
			t.Errorf("waited for are %q, %v", ids, err)
		}
		gone, err := f.ChangeRoute(t.Context(), "a.test", db.Guard{}, func(db.RouteTarget) (db.RouteTarget, bool) { return db.RouteTarget{Deleted: true}, true })
		f.check(err)
		if _, err := f.RouteTarget(t.Context(), "a.test"); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("the deleted one: %v", err)
		}
		f.check(f.TidyProcesses(t.Context()))
		if list, _ := f.RouteTargets(t.Context(), 0); len(list) != 2 {
			t.Errorf("it was forgotten before everybody knew: %+v", list)
		}
		f.process("a", gone)
		f.process("b", gone)
		f.check(f.TidyProcesses(t.Context()))
		if list, _ := f.RouteTargets(t.Context(), 0); len(list) != 1 || list[0].Upstream != "2" {
			t.Errorf("left are %+v", list)
		}
	})
}

// TestRoutesOfALostLease: who worked on a deployment that another one has now moves nothing any more.
func TestRoutesOfALostLease(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.queued("", "A")
		dep, err := f.Claim(t.Context(), "one", -time.Second)
		f.check(err)
		mine := db.Guard{DeploymentID: dep.ID, LeaseOwner: dep.LeaseOwner}
		if _, err := f.point("a.test", "1", mine); err != nil {
			t.Error(err)
		}
		if _, err := f.Claim(t.Context(), "two", lease); err != nil {
			t.Error(err)
		}
		if _, err := f.point("a.test", "2", mine); !errors.Is(err, db.ErrLeaseLost) {
			t.Errorf("it moved a route: %v", err)
		}
	})
}

func TestDrains(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, id := range []string{"a", "b"} {
			f.process(id, 0)
		}
		f.check(f.BeginDrain(t.Context(), db.Drain{ID: "d", ProcessID: "a", Host: "a.test", Upstream: "u"}))
		f.check(f.Drained(t.Context(), "d", "a"))
		f.check(f.Drained(t.Context(), "d", "a"))
		if ids, err := f.Undrained(t.Context(), "d"); err != nil || !slices.Equal(ids, []string{"b"}) {
			t.Errorf("waited for are %q, %v", ids, err)
		}
		f.check(f.CutDrain(t.Context(), "d"))
		if list, err := f.DrainsFor(t.Context(), "b"); err != nil || len(list) != 1 || !list[0].Cut {
			t.Errorf("b is asked for %+v, %v", list, err)
		}
		if list, err := f.DrainsFor(t.Context(), "a"); err != nil || len(list) != 0 {
			t.Errorf("a is asked for %+v, %v", list, err)
		}
		f.silent("a", db.ProcessDead+time.Second)
		f.check(f.TidyProcesses(t.Context()))
		if list, err := f.DrainsFor(t.Context(), "b"); err != nil || len(list) != 0 {
			t.Errorf("who asked is dead, and b is asked for %+v, %v", list, err)
		}
		f.check(f.Drained(t.Context(), "d", "b"))
	})
}
