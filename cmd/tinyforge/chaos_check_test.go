//go:build chaos

package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"tinyforge/db"
)

// reportsPending says so while the forge does not know all.
func (s *service) reportsPending() string {
	_, page := s.get(s.control+"/metrics", "")
	if !strings.Contains(page, "tinyforge_reports_pending 0\n") {
		return "reports are pending"
	}
	return ""
}

// check looks from outside whether all is as promised, as soon as it has come to rest. What is not is counted and told.
func (x *world) check() {
	for _, w := range x.workloads {
		x.expect(&x.sum.wrong, w.name+" has one release that serves", func() string { return x.oneServes(w) })
	}
	x.expect(&x.sum.left, "nothing is left over", func() string { return x.leftOver(x.workloads) })
	x.expect(&x.sum.untrue, "every status is known to the forge", x.reportsPending)
	for _, w := range x.workloads {
		x.judge(w)
	}
}

// expect waits until look finds nothing wrong, and counts a fault when it goes on to find something.
func (x *world) expect(count *int, what string, look func() (wrong string)) {
	x.Helper()
	deadline, wrong := time.Now().Add(90*time.Second), ""
	for time.Now().Before(deadline) {
		if wrong = look(); wrong == "" {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	x.fault(count, "%s: %s", what, wrong)
}

func (x *world) fault(count *int, format string, args ...any) {
	x.Helper()
	*count++
	x.Errorf(format, args...)
}

// judge looks at the requests that failed since the last time. Where the proxy is in the killed process, those of its absence
// are counted apart; so are those of a gap that is admitted: nginx cannot make requests wait.
func (x *world) judge(w *target) {
	faults, times := x.visitors[w].news()
	for i, in := range times {
		switch {
		case slices.ContainsFunc(x.away, func(g gap) bool { return in[1].After(g.from) && (g.until.IsZero() || in[0].Before(g.until)) }):
			x.sum.away++
		case x.setting.router == "npm" && w.strategy != db.BlueGreen:
			x.sum.admitted++
		default:
			x.fault(&x.sum.failed, "%s: a request failed at %s: %s", w.name, in[1].Format(time.StampMilli), faults[i][:min(len(faults[i]), 120)])
		}
	}
}

// conclude looks at how every commit has ended, and that old images are gone.
func (x *world) conclude() {
	for _, w := range x.workloads {
		x.visitors[w].end()
		x.judge(w)
		x.sum.sent += x.visitors[w].sent
		for commit, state := range w.ends {
			if wrong := untrue(w.clone, commit, state); wrong != "" {
				x.fault(&x.sum.untrue, "%s: %s", w.name, wrong)
			}
		}
	}
	x.expect(&x.sum.left, "no image beyond retention is left", func() string {
		var images []struct{ RepoTags []string }
		newDockerAPI(x.T).call(http.MethodGet, "/images/json?"+filter("label", "tinyforge.built-by="+x.instance), &images)
		if most := 3*2 + 3*2; len(images) > most { // a stack has two of each release
			return fmt.Sprintf("%d images, more than %d: %v", len(images), most, images)
		}
		return ""
	})
}
