//go:build chaos

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"tinyforge/db"
)

// TestChaosSeveral kills one of two and of three processes on one PostgreSQL again and again, at named points of deployments and
// at random times, and looks from outside whether the promises were kept. TINYFORGE_TEST_CHAOS_KILLS is how many kills all
// worlds get together; TINYFORGE_TEST_CHAOS_SEED repeats those of an earlier run.
func TestChaosSeveral(t *testing.T) {
	t.Parallel()
	const each, between = 2, 5 // worlds of a size, and kills from one look at everything to the next
	kills := int(fromEnv(t, "TINYFORGE_TEST_CHAOS_KILLS", 200))
	sum := &severalTally{seed: fromEnv(t, "TINYFORGE_TEST_CHAOS_SEED", uint64(time.Now().UnixNano())), begun: time.Now()}
	t.Run("worlds", func(t *testing.T) {
		for i := range 2 * each {
			n := 2 + i%2
			t.Run(fmt.Sprintf("%d processes, %d", n, i/2), func(t *testing.T) {
				t.Parallel()
				r := sum.row(n)
				x := newCrew(t, n, r, rand.New(rand.NewPCG(sum.seed, uint64(100+i))), db.BlueGreen, db.Recreate, db.Stack)
				x.points = map[db.Strategy][]string{}
				for _, w := range x.workloads {
					good, bad := points(w.strategy)
					x.points[w.strategy] = append(good, bad...)
				}
				for looked := 0; r.kills+r.atPoint < kills/(2*each); {
					x.killOne()
					if done := r.kills + r.atPoint; done >= looked+between {
						looked = done
						x.settle()
					}
				}
				x.settle()
				x.conclude()
			})
		}
	})
	sum.print(os.Stdout)
}
