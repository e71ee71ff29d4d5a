//go:build chaos

package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// severalRow is what one crew has counted. It belongs to its goroutine.
type severalRow struct {
	processes int
	kills     int // at random times
	atPoint   int
	pushes    int
	sent      int
	failed    int // requests through a living proxy
	away      int // requests through a proxy that was dead, or in flight when it was killed
	wrong     int // a workload with more or less than one release, row or route, seen through one of the proxies
	left      int // something is left over
	untrue    int // a status that is not terminal, or not true
	again     int // commits whose last status was told more than once
	twice     int // a commit that was built by more than one deployment
	lost      int // an answered delivery without an end
}

// severalTally is what all worlds have counted.
type severalTally struct {
	seed  uint64
	begun time.Time

	mu   sync.Mutex
	rows []*severalRow
}

func (s *severalTally) row(processes int) *severalRow {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows = append(s.rows, &severalRow{processes: processes})
	return s.rows[len(s.rows)-1]
}

// print writes the table.
func (s *severalTally) print(out io.Writer) {
	fmt.Fprintf(out, "\nseed %d, %s\n\n", s.seed, time.Since(s.begun).Round(time.Second))
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', tabwriter.Debug)
	fmt.Fprintln(w, "\t processes \t kills at random \t at a point \t pushes \t requests \t failed \t through a killed one \t not one release "+
		"\t left over \t untrue status \t told again \t built twice \t lost \t")
	fmt.Fprintln(w, strings.Repeat("\t --- ", 13)+"\t")
	for _, r := range s.rows {
		for _, n := range []int{r.processes, r.kills, r.atPoint, r.pushes, r.sent, r.failed, r.away, r.wrong, r.left, r.untrue, r.again, r.twice, r.lost} {
			fmt.Fprintf(w, "\t %d ", n)
		}
		fmt.Fprintln(w, "\t")
	}
	_ = w.Flush()
}

// settle waits for the end of every commit, and looks at everything.
func (x *crew) settle() {
	x.Helper()
	x.revive()
	for _, w := range x.workloads {
		x.expect(&x.sum.untrue, w.name+" has its last status", func() string {
			if last := w.clone.last(x.latest[w]); last.State != "success" && last.State != "failure" {
				return fmt.Sprintf("%s: %+v", x.latest[w], last)
			}
			return ""
		})
	}
	x.check()
}

// check looks from outside whether all is as promised, as soon as it has come to rest. What is not is counted and told.
func (x *crew) check() {
	x.Helper()
	for _, m := range x.members {
		for _, w := range x.workloads {
			x.expect(&x.sum.wrong, w.name+" has one release that serves through "+m.site, func() string { return m.oneServes(w) })
		}
	}
	for _, m := range x.members {
		x.expect(&x.sum.left, "nothing is left over", func() string { return m.leftOver(x.workloads) })
	}
	x.expect(&x.sum.untrue, "every status is known to the forge", x.reportsPending)
	for _, w := range x.workloads {
		x.once(w)
	}
	x.delivered()
	for _, m := range x.members {
		x.judge(m)
	}
}

// once counts the commits of a workload that no deployment, or more than one, has built.
func (x *crew) once(w *target) {
	x.Helper()
	all, err := x.store.DeploymentsOf(x.Context(), x.workload(w.name).ID, 1000)
	x.must(err)
	rows, built := map[string]int{}, map[string]int{}
	for _, d := range all {
		rows[d.Commit]++
		if d.Release != nil || len(d.Sealed) > 0 {
			built[d.Commit]++
		}
	}
	for commit := range w.versions {
		if rows[commit] == 0 {
			x.fault(&x.sum.lost, "%s: nobody has deployed %s", w.name, commit)
		}
		if built[commit] > 1 {
			x.fault(&x.sum.twice, "%s: %d deployments have built %s", w.name, built[commit], commit)
		}
	}
}

// delivered demands that each push that was answered well has come to an end.
func (x *crew) delivered() {
	x.Helper()
	sent, err := x.forge.Settle(x.Context())
	x.must(err)
	for _, d := range sent {
		if d.Event != "push" || d.Code == 0 || d.Code >= http.StatusBadRequest {
			continue
		}
		i := slices.IndexFunc(x.workloads, func(w *target) bool { return strings.EqualFold("acme/"+w.name, d.Repository) })
		if i < 0 {
			x.fault(&x.sum.lost, "delivery %s is about %s", d.ID, d.Repository)
			continue
		}
		w := x.workloads[i]
		for commit := range w.versions {
			if last := w.clone.last(commit).State; strings.Contains(string(d.Body), `"after":"`+commit+`"`) && last != "success" && last != "failure" {
				x.fault(&x.sum.lost, "delivery %s was answered %d, and %s is %q", d.ID, d.Code, commit, last)
			}
		}
	}
}

// judge looks at the requests through a member's proxy that failed since the last time. Those of its absence are counted apart.
func (x *crew) judge(m *member) {
	x.Helper()
	for _, w := range x.workloads {
		if m.visitors[w] == nil {
			continue
		}
		faults, times := m.visitors[w].news()
		for i, in := range times {
			if slices.ContainsFunc(m.away, func(g gap) bool { return in[1].After(g.from) && in[0].Before(g.until) }) {
				x.sum.away++
				continue
			}
			x.fault(&x.sum.failed, "%s through %s: a request failed at %s: %s", w.name, m.site, in[1].Format(time.StampMilli), faults[i][:min(len(faults[i]), 120)])
		}
	}
}

// conclude looks at how every commit has ended.
func (x *crew) conclude() {
	x.Helper()
	for _, m := range x.members {
		for _, w := range x.workloads {
			m.visitors[w].end()
			x.sum.sent += m.visitors[w].sent
		}
		x.judge(m)
	}
	for _, w := range x.workloads {
		for commit, state := range w.ends {
			if wrong := untrue(w.clone, commit, state); wrong != "" {
				x.fault(&x.sum.untrue, "%s: %s", w.name, wrong)
			}
			if told := x.forge.Statuses(w.clone.repository, commit); len(told) > 1 && told[len(told)-2].State == state {
				x.sum.again++
			}
		}
	}
}

// expect waits until look finds nothing wrong, and counts a fault when it goes on to find something.
func (x *crew) expect(count *int, what string, look func() (wrong string)) {
	x.Helper()
	if wrong := lookUntilRight(x.T, look); wrong != "" {
		x.fault(count, "%s: %s", what, wrong)
	}
}

func (x *crew) fault(count *int, format string, args ...any) {
	x.Helper()
	*count++
	x.Errorf(format, args...)
}

// lookUntilRight repeats look until it finds nothing wrong, bounded, and returns the last that it found.
func lookUntilRight(t *testing.T, look func() string) (wrong string) {
	t.Helper()
	deadline, tick := time.After(3*time.Minute), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for {
		if wrong = look(); wrong == "" {
			return ""
		}
		select {
		case <-deadline:
			return wrong
		case <-tick.C:
		}
	}
}
