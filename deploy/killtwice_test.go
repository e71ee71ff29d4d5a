package deploy_test

import (
	"fmt"
	"testing"
	"time"

	"tinyforge/db"
)

// TestKilledInTheRecovery kills a process between the phases, and the next one at every point of its first pass and at some
// of what it does afterwards: the third one finishes.
func TestKilledInTheRecovery(t *testing.T) {
	t.Parallel()
	for _, k := range []killing{
		{db.BlueGreen, "apart", "push"}, {db.BlueGreen, "in the process", "push, bad"},
		{db.Recreate, "in the process", "push"}, {db.Recreate, "apart", "push, bad"},
		{db.Stack, "apart", "push"}, {db.Stack, "npm", "push, bad"},
	} {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, configs[string(k.strategy)], changes[k.change])
			kills := 0
			for n, more := 1, true; more && !t.Failed(); n++ {
				inFirst := 1 << 30
				for m, again := 1, true; again && !t.Failed(); m++ {
					if (m+n)%2 != 0 || m > inFirst && (m+n)%8 != 0 {
						continue // its neighbours in n have the others; what it does when it deploys is killed at every point elsewhere
					}
					t.Run(fmt.Sprintf("%d and %d", n, m), func(t *testing.T) {
						more, again, inFirst = k.twice(t, s, n, m, inFirst)
					})
					kills++
				}
			}
			if kills < 30 {
				t.Errorf("only %d times", kills)
			}
		})
	}
}

// twice kills at the n-th named point, and the next process at its m-th.
func (k killing) twice(t *testing.T, s *scene, n, m, inFirst int) (more, again bool, inPass int) {
	w := s.copy(t, k.router)
	first := newVictim(n)
	first.named = true
	first.life(w, false, s.dep)
	if !first.isDead() {
		return false, false, 0
	}
	w.next(routers[k.router].apart)
	must2(t)(w.db.BreakLeases(t.Context()))
	second := newVictim(m)
	inPass = second.life(w, true, s.dep)
	if m <= inFirst && second.isDead() && inPass == m {
		inPass = inFirst // it may have more points
	}
	k.aftermath(t, w, s.dep, first.last()+", then at "+second.last())
	return true, second.isDead(), inPass
}

// TestStoppedAnywhere tells the process to stop at every point between phases: the next one goes on at once, as if nothing had
// been.
func TestStoppedAnywhere(t *testing.T) {
	t.Parallel()
	for strategy, config := range configs {
		for _, change := range []string{"push", "push, bad"} {
			k := killing{db.Strategy(strategy), "apart", change}
			t.Run(k.String(), func(t *testing.T) {
				t.Parallel()
				s := newScene(t, config, changes[change])
				for n, more := 1, true; more && !t.Failed(); n++ {
					t.Run(fmt.Sprint(n), func(t *testing.T) { more = k.stopped(t, s, n) })
				}
			})
		}
	}
}

func (k killing) stopped(t *testing.T, s *scene, n int) (reached bool) {
	w := s.copy(t, k.router)
	v := newVictim(n)
	v.named, v.gently = true, true
	v.life(w, false, s.dep)
	k.left(w)
	w.next(true)
	dep := w.deployment(s.dep.ID)
	if dep.Attempt > 1 || !dep.LeaseUntil.IsZero() {
		t.Errorf("stopped at %s: attempt %d, leased until %v", v.last(), dep.Attempt, dep.LeaseUntil)
	}
	if wasted := dep.Attempt > 0 && !dep.Phase.Final(); wasted {
		t.Errorf("stopped at %s: attempt %d is counted", v.last(), dep.Attempt)
	}
	k.finish(w, s.dep, true)
	if t.Failed() {
		t.Logf("%s: stopped at %s", k, v.last())
	}
	return v.isDead()
}

// TestKilledOnPostgres: there may be other processes, so that a lease ends by itself, and the recovery looks at what a dead
// process has left while its lease still holds.
func TestKilledOnPostgres(t *testing.T) {
	t.Parallel()
	points := []string{"starting:after", "routing:after", "committing:after", "reaping:before", "undoing:before", "undoing:after"}
	for strategy, config := range configs {
		for i, point := range points {
			k := killing{db.Strategy(strategy), []string{"in the process", "apart", "npm"}[i%3], "push"}
			if i >= 4 {
				k.change = "push, bad"
			}
			t.Run(k.String()+", "+point, func(t *testing.T) {
				t.Parallel()
				w, s := onPostgres(t, config, k.router, changes[k.change])
				v := newVictim(0)
				v.where = point
				w.deployer.Config.Lease = 500 * time.Millisecond
				v.life(w, false, s.dep)
				if !v.isDead() {
					t.Fatalf("%s was not reached", point)
				}
				k.left(w)
				w.next(routers[k.router].apart)
				w.pass()
				if routers[k.router].apart {
					w.answersOrWaits(false)
				}
				k.finish(w, s.dep, true)
			})
		}
	}
}
