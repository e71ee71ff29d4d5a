//go:build chaos

package main

import (
	"fmt"
	"io"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"tinyforge/db"
)

// tally is what all worlds have counted.
type tally struct {
	what  string // is counted by strategy
	seed  uint64
	begun time.Time

	mu   sync.Mutex
	rows []*row
}

// row is what one world has counted. It belongs to its goroutine.
type row struct {
	setting
	kills    map[db.Strategy]int
	sent     int
	failed   int // requests, beyond those of the next two
	away     int // requests while the process that is the proxy too was dead
	admitted int // requests of recreate and stack behind a proxy that cannot hold them
	wrong    int // a workload with more or less than one release, row or route
	left     int // something is left over
	untrue   int // a status that is not terminal, or not true
}

// newTally begins to count. Its seed is that of TINYFORGE_TEST_CHAOS_SEED, or a new one.
func newTally(t *testing.T, what string) *tally {
	return &tally{what: what, seed: fromEnv(t, "TINYFORGE_TEST_CHAOS_SEED", uint64(time.Now().UnixNano())), begun: time.Now()}
}

func (t *tally) row(s setting) *row {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &row{setting: s, kills: map[db.Strategy]int{}}
	t.rows = append(t.rows, r)
	return r
}

func (r *row) kill(s db.Strategy) { r.kills[s]++ }

// print writes the table of the README.
func (t *tally) print(out io.Writer) {
	if len(t.rows) == 0 {
		return
	}
	fmt.Fprintf(out, "\nseed %d, %s\n\n", t.seed, time.Since(t.begun).Round(time.Second))
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', tabwriter.Debug)
	line := func(cells ...any) {
		for _, c := range cells {
			fmt.Fprintf(w, "\t %v ", c)
		}
		fmt.Fprintln(w, "\t")
	}
	line("proxy, database", t.what+": blue-green", "recreate", "stack", "requests", "failed", "while the proxy was dead", "gap of recreate",
		"not one release", "left over", "untrue status")
	line("---", "---", "---", "---", "---", "---", "---", "---", "---", "---", "---")
	sum := row{setting: setting{"all", ""}, kills: map[db.Strategy]int{}}
	for _, r := range t.rows {
		for strategy, n := range r.kills {
			sum.kills[strategy] += n
		}
		sum.sent, sum.failed, sum.away, sum.admitted = sum.sent+r.sent, sum.failed+r.failed, sum.away+r.away, sum.admitted+r.admitted
		sum.wrong, sum.left, sum.untrue = sum.wrong+r.wrong, sum.left+r.left, sum.untrue+r.untrue
	}
	for _, r := range append(t.rows, &sum) {
		line(r.setting, r.kills[db.BlueGreen], r.kills[db.Recreate], r.kills[db.Stack], r.sent, r.failed, r.away, r.admitted, r.wrong, r.left, r.untrue)
	}
	_ = w.Flush()
}
