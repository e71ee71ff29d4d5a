package deploy_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

// killing is a row of the matrix: a process is killed at every point of it, one after the other.
type killing struct {
	strategy db.Strategy
	router   string
	change   string
}

func (k killing) String() string { return fmt.Sprintf("%s, %s, %s", k.strategy, k.router, k.change) }

// ledger counts the kills by strategy and point.
type ledger struct {
	mu    sync.Mutex
	kills map[db.Strategy]map[string]int
	rows  int
}

func (l *ledger) note(strategy db.Strategy, point string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kills == nil {
		l.kills = map[db.Strategy]map[string]int{}
	}
	if l.kills[strategy] == nil {
		l.kills[strategy] = map[string]int{}
	}
	l.kills[strategy][point]++
}

// effects are the calls that change something, by strategy. Every strategy has those of "".
var effects = map[db.Strategy][]string{
	"":           {"runtime.start", "runtime.remove", "router.upsert", "router.drain", "router.delete"},
	db.BlueGreen: {"fetch"},
	db.Recreate:  {"fetch", "runtime.stop", "router.hold"},
	db.Stack:     {"fetch", "router.hold"},
	db.Scale:     {},
}

// complete checks that every phase of every strategy, and every effect, was killed before and after it.
func (l *ledger) complete(t *testing.T) {
	t.Helper()
	for strategy, phases := range deploy.PhasesOf() {
		var want []string
		for _, phase := range phases {
			want = append(want, string(phase))
		}
		calls, known := effects[strategy]
		if !known {
			t.Errorf("strategy %s is not in the matrix", strategy)
		}
		total := 0
		for _, n := range l.kills[strategy] {
			total += n
		}
		want = slices.Concat(want, effects[""], calls)
		for _, what := range want {
			for _, moment := range []string{":before", ":after"} {
				if l.kills[strategy][what+moment] == 0 {
					t.Errorf("%s: nothing was killed at %s%s", strategy, what, moment)
				}
			}
		}
		for point := range l.kills[strategy] {
			if what, _, _ := strings.Cut(point, ":"); !slices.Contains(want, what) {
				t.Errorf("%s: %s is not in the matrix", strategy, point)
			}
		}
		t.Logf("%s: %d kills at %d points", strategy, total, len(l.kills[strategy]))
	}
}

// rows are the matrix: every strategy with every change, a push and a bad one with every router, and the other changes with
// one router each, so that every router meets every change with some strategy.
func rows() (all []killing) {
	names := slices.Sorted(maps.Keys(routers))
	for i, strategy := range slices.Sorted(maps.Keys(configs)) {
		for j, change := range slices.Sorted(maps.Keys(changes)) {
			for k, router := range names {
				if everyRouter[change] || (i+j)%len(names) == k {
					all = append(all, killing{db.Strategy(strategy), router, change})
				}
			}
		}
	}
	for change := range scalings {
		for _, router := range names {
			all = append(all, killing{db.Scale, router, change})
		}
	}
	return all
}

// config is the workload's.
func (k killing) config() string { return cmp.Or(configs[string(k.strategy)], blueGreen) }

func (k killing) what() change {
	if c, ok := scalings[k.change]; ok {
		return c
	}
	return changes[k.change]
}

var everyRouter = map[string]bool{"push": true, "push, bad": true}

// TestKilledAnywhere is the kill matrix: in every row the process is killed at every point (before and after each phase and
// each effect), and the next one is started. Then exactly one release runs, the routes lead to it, the row names it, the
// deployment has ended truthfully, and nothing is left.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	var l ledger
	t.Run("in", func(t *testing.T) {
		for _, k := range rows() {
			t.Run(k.String(), func(t *testing.T) {
				t.Parallel()
				k.everywhere(t, newScene(t, k.config(), k.what()), &l)
			})
		}
	})
	if !t.Failed() && l.rows == len(rows()) { // else only some were asked for
		l.complete(t)
	}
}

// everywhere kills at the first point, at the second, and so on until there is none.
func (k killing) everywhere(t *testing.T, s *scene, l *ledger) {
	for n, more := 0, true; more; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := s.copy(t, k.router)
			v := newVictim(n)
			if n == 0 {
				must2(t)(w.db.Claim(t.Context(), "dead", time.Minute)) // it died when it had claimed
				must(t, w.db.Close())
				k.aftermath(t, w, s.dep, "claim")
				return
			}
			v.life(w, false, s.dep)
			if more = v.isDead(); more {
				l.note(k.strategy, v.last())
			}
			k.aftermath(t, w, s.dep, v.last())
		})
		if t.Failed() {
			return
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows++
}

// aftermath looks at what a dead process has left, starts the next one, and looks at what becomes of it.
func (k killing) aftermath(t *testing.T, w *world, dep db.Deployment, point string) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s: killed at %s", k, point)
		}
	})
	k.left(w)
	w.next(routers[k.router].apart)
	cancelled := k.cancel(w, dep)
	k.restart(t, w)
	k.finish(w, dep, cancelled)
}

// left checks what requests meet while no process is there.
func (k killing) left(w *world) {
	w.t.Helper()
	if routers[k.router].apart {
		w.answersOrWaits(k.strategy == db.BlueGreen && k.what().before != nil)
	}
}

// cancel asks for the end of the deployment where the change wants that.
func (k killing) cancel(w *world, dep db.Deployment) (inTime bool) {
	w.t.Helper()
	if !k.what().cancel {
		return true
	}
	err := w.db.Cancel(w.t.Context(), dep.ID)
	if err != nil && !errors.Is(err, db.ErrTooLate) {
		w.t.Error(err)
	}
	return err == nil
}

// restart is what serve does first.
func (k killing) restart(t *testing.T, w *world) {
	t.Helper()
	must2(t)(w.db.BreakLeases(t.Context()))
	w.pass()
	for _, h := range w.workload.Hosts() {
		if _, known := w.router.Routes()[h]; !known {
			t.Errorf("%s is not known to the proxy after the first pass", h)
		}
	}
}

// finish takes the deployment to its end and checks what became of it.
func (k killing) finish(w *world, dep db.Deployment, cancelled bool) {
	w.t.Helper()
	dep = w.run(dep)
	w.answersOrWaits(k.what().before != nil) // before a pass mends it
	w.pass()
	c := k.what()
	if c.cancel && !cancelled {
		c.ends = db.PhaseLive // it was committed
		if _, scales := scalings[k.change]; scales {
			c.replicas = scalings["scale"].replicas
		} else {
			c.serves = "b"
		}
	}
	if dep.Phase != c.ends {
		w.t.Errorf("the deployment is %s, want %s: %s", dep.Phase, c.ends, dep.Error)
	}
	w.whole(c.serves)
	if state, err := w.db.RuntimeState(w.t.Context(), w.workload.ID); err == nil {
		if state.Commit != state.Release.Commit {
			w.t.Errorf("the row says %s, and its release is of %s", state.Commit, state.Release.Commit)
		}
		w.runs(state.ReleaseID, max(1, state.Release.Replicas), cmp.Or(c.replicas, 1))
	}
}

// runs checks that a release is said to run, runs and is led to as often as it should.
func (w *world) runs(id db.ReleaseID, said, want int) {
	w.t.Helper()
	in, err := w.runtime.Inspect(w.t.Context(), id)
	must(w.t, err)
	if said != want || len(in.Upstream.Addrs()) != want {
		w.t.Errorf("%s is said to run %d times, and runs %d times, want %d", id, said, len(in.Upstream.Addrs()), want)
	}
	for h := range w.router.Routes() {
		if up, err := w.router.Current(w.t.Context(), db.Route{Host: h}); err != nil || up != in.Upstream {
			w.t.Errorf("%s leads to %s (%v), want %s", h, up.Addr, err, in.Upstream.Addr)
		}
	}
}
