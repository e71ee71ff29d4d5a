//go:build chaos

package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/db/dbtest"
)

// TestChaos kills Tinyforge at every named point of a deployment and at random times, with real Docker and steady requests,
// and looks from outside whether the promises were kept. It prints a table. TINYFORGE_TEST_CHAOS_RANDOM is how many kills at
// random times each world gets, TINYFORGE_TEST_CHAOS_SEED repeats those of an earlier run.
func TestChaos(t *testing.T) {
	t.Parallel()
	random := fromEnv(t, "TINYFORGE_TEST_CHAOS_RANDOM", 8)
	sum := newTally(t, "kills")
	t.Run("worlds", func(t *testing.T) {
		for i, setting := range everySetting() {
			t.Run(setting.String(), func(t *testing.T) {
				t.Parallel()
				x := newWorld(t, setting, sum, rand.New(rand.NewPCG(sum.seed, uint64(i))))
				for _, w := range x.workloads {
					x.killEverywhere(w)
				}
				for range random {
					x.killSometime(x.workloads[x.random.IntN(len(x.workloads))])
				}
				for i := 0; x.proxy != nil && i < len(x.workloads)*2; i++ {
					x.killProxy(x.workloads[i%len(x.workloads)])
				}
				x.conclude()
			})
		}
	})
	sum.print(os.Stdout)
}

func fromEnv(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// setting is how Tinyforge runs.
type setting struct {
	router   string // builtin, proxy, npm
	database string // SQLite, PostgreSQL
}

func (s setting) String() string { return s.router + " " + s.database }

// address is that of a new database; "" is the default one.
func (s setting) address(t *testing.T) string {
	if s.database == "PostgreSQL" {
		return dbtest.Postgres(t)
	}
	return ""
}

func everySetting() (all []setting) {
	for _, router := range []string{"builtin", "proxy", "npm"} {
		for _, database := range []string{"SQLite", "PostgreSQL"} {
			all = append(all, setting{router, database})
		}
	}
	return all
}

// points are those of a deployment that goes well, and of one that is undone.
func points(s db.Strategy) (good, bad []string) {
	phases := map[db.Strategy][]db.Phase{
		db.BlueGreen: {db.PhaseBuilding, db.PhaseStarting, db.PhaseGating, db.PhaseRouting, db.PhaseCommitting, db.PhaseDraining, db.PhaseReaping},
		db.Recreate:  {db.PhaseBuilding, db.PhaseStopping, db.PhaseStarting, db.PhaseGating, db.PhaseRouting, db.PhaseCommitting, db.PhaseReaping},
		db.Stack:     {db.PhaseBuilding, db.PhaseStarting, db.PhaseGating, db.PhaseRouting, db.PhaseCommitting, db.PhaseReaping},
		db.Scale:     {db.PhaseBuilding, db.PhaseStarting, db.PhaseGating, db.PhaseRouting, db.PhaseCommitting, db.PhaseReaping},
	}
	for _, phase := range phases[s] {
		good = append(good, string(phase)+":before", string(phase)+":after")
	}
	return good, []string{"gating:after", "undoing:before", "undoing:after"}
}

// killEverywhere kills a deployment at each of its points.
func (x *world) killEverywhere(w *target) {
	good, bad := points(w.strategy)
	for _, point := range good {
		x.killAt(w, point, true)
	}
	for _, point := range bad {
		x.killAt(w, point, false)
	}
}

func (x *world) killAt(w *target, point string, good bool) {
	x.must(os.WriteFile(x.killFile, []byte(point), 0o600))
	commit := w.push(good)
	select {
	case <-x.process.ended:
	case <-time.After(3 * time.Minute):
		x.Fatalf("%s: %s was never reached\n%s", w.name, point, x.process.log.String())
	}
	x.killed(fmt.Sprintf("%s at %s", w.strategy, point), w)
	x.settle(w, commit, good)
}

// killSometime kills at a random time after a push, and sometimes the next process once more.
func (x *world) killSometime(w *target) {
	commit, good, after := x.pushAndWait(w)
	x.process.kill()
	x.killed(fmt.Sprintf("%s after %s", w.strategy, after.Round(time.Millisecond)), w)
	if x.random.IntN(3) == 0 {
		again := time.Duration(x.random.Int64N(int64(time.Second)))
		x.process = startProcess(x.T, x.env, "serve")
		time.Sleep(again)
		x.process.kill()
		x.killed(fmt.Sprintf("the next one after %s", again.Round(time.Millisecond)), w)
	}
	x.settle(w, commit, good)
}

// killProxy kills the proxy that is apart at a random time after a push.
func (x *world) killProxy(w *target) {
	commit, good, after := x.pushAndWait(w)
	x.serving.kill()
	x.killed(fmt.Sprintf("the proxy, %s after %s", w.strategy, after.Round(time.Millisecond)), w)
	x.nobodyAnswers()
	x.serving = x.proxy()
	x.await("the proxy answers", func() bool {
		code, _ := x.get(x.site+"/", "nobody.test")
		return code == http.StatusNotFound
	})
	x.somebodyAnswers()
	x.settled(w, commit, good)
}

// pushAndWait pushes a good commit or a bad one, and waits for some time.
func (x *world) pushAndWait(w *target) (commit string, good bool, after time.Duration) {
	good = x.random.IntN(3) > 0
	after = time.Duration(x.random.Int64N(int64(4 * time.Second)))
	commit = w.push(good)
	time.Sleep(after)
	return commit, good, after
}
