package main

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"tinyforge/db"
)

// TestSeveralKilled kills either of two processes on one PostgreSQL ten times at random moments. Deployments go on with the
// other one, and through its proxy no request fails. "make chaos" does so hundreds of times.
func TestSeveralKilled(t *testing.T) {
	t.Parallel()
	sum := &severalTally{seed: uint64(time.Now().UnixNano()), begun: time.Now()}
	x := newCrew(t, 2, sum.row(2), rand.New(rand.NewPCG(sum.seed, 2)), db.BlueGreen, db.Recreate)
	for range 10 {
		x.killOne()
	}
	x.settle()
	x.conclude()
	sum.print(os.Stdout)
}
