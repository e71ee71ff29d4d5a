//go:build chaos

package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tinyforge/db"
)

// check looks from outside whether all is as promised, as soon as it has come to rest. What is not is counted and told.
func (x *world) check() {
	for _, w := range x.workloads {
		x.expect(&x.sum.wrong, w.name+" has one release that serves", func() string { return x.oneServes(w) })
	}
	x.expect(&x.sum.left, "nothing is left over", x.leftOver)
	x.expect(&x.sum.untrue, "every status is known to the forge", func() string {
		_, page := x.get(x.control+"/metrics", "")
		if !strings.Contains(page, "tinyforge_reports_pending 0\n") {
			return "reports are pending"
		}
		return ""
	})
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

// oneServes tells what is wrong with a workload: row, container and route have to agree on the release of the commit.
func (x *world) oneServes(w *target) string {
	row := x.workload(w.name)
	if dep, err := x.store.InProgress(x.Context(), row.ID); !errors.Is(err, db.ErrNotFound) {
		return fmt.Sprintf("deployment %d is %s (%v)", dep.ID, dep.Phase, err)
	}
	state, err := x.store.RuntimeState(x.Context(), row.ID)
	x.must(err)
	if state.Commit != w.serving {
		return fmt.Sprintf("the row names %s, not %s", state.Commit, w.serving)
	}
	left := x.releases(w.name)
	if len(left) != 1 || left[0].State != "running" || left[0].Labels["tinyforge.release"] != string(state.ReleaseID) {
		return fmt.Sprintf("the row names %s, and there are %+v", state.ReleaseID, left)
	}
	code, body := x.get(x.site+"/", row.Host)
	if code != http.StatusOK || strings.TrimSpace(body) != w.versions[w.serving] {
		return fmt.Sprintf("the site answers %d %q, not %q", code, body, w.versions[w.serving])
	}
	for _, d := range x.deployments(w.name) {
		if live := d.ID == state.DeploymentID; live != (d.Phase == db.PhaseLive) || !d.Phase.Final() {
			return fmt.Sprintf("deployment %d is %s, and %d serves", d.ID, d.Phase, state.DeploymentID)
		}
	}
	return ""
}

// leftOver names what nobody needs: each release has one container, the stack one more, a network and a volume.
func (x *world) leftOver() string {
	docker := newDockerAPI(x.T)
	ours := filter("label", "tinyforge.instance="+x.instance)
	var networks []struct{ Name string }
	docker.call(http.MethodGet, "/networks?"+ours, &networks)
	var volumes struct{ Volumes []struct{ Name string } }
	docker.call(http.MethodGet, "/volumes?"+ours, &volumes)
	checkouts, err := os.ReadDir(filepath.Join(x.data(), "checkouts"))
	containers := docker.containers(x.instance)
	switch {
	case len(containers) != len(x.workloads)+1:
		return fmt.Sprintf("%d containers: %+v", len(containers), containers)
	case len(networks) > 2:
		return fmt.Sprintf("networks %v", networks)
	case len(volumes.Volumes) > 1:
		return fmt.Sprintf("volumes %v", volumes)
	case err != nil || len(checkouts) > 0:
		return fmt.Sprintf("checkouts %v (%v)", checkouts, err)
	}
	return ""
}

// data is the folder that the last of the options names.
func (x *world) data() (dir string) {
	for _, option := range x.env {
		if folder, ok := strings.CutPrefix(option, "TINYFORGE_DATA="); ok {
			dir = folder
		}
	}
	return dir
}

// untrue tells what is wrong with the statuses of a commit that ended.
func untrue(c *clone, commit, state string) string {
	ended := ""
	for i, s := range c.forge.Statuses(c.repository, commit) {
		if s.Context != "tinyforge" || ended != "" && s.State != ended { // that it is pending may have been lost with the process
			return fmt.Sprintf("status %d of %s is %s after %q: %s", i, commit, s.State, ended, s.Description)
		}
		if s.State != "pending" {
			ended = s.State
		}
	}
	if ended != state {
		return fmt.Sprintf("%s ended in %q, not in %s: %s", commit, ended, state, c.last(commit).Description)
	}
	return ""
}

// judge looks at the requests that failed since the last time. Where the proxy is in the killed process, those of its absence
// are counted apart; so are those of a gap that is admitted: nginx cannot make requests wait.
func (x *world) judge(w *target) {
	l := w.visitors
	l.mu.Lock()
	faults, times := slices.Clone(l.faults[w.judged:]), slices.Clone(l.failedIn[w.judged:])
	w.judged += len(faults)
	l.mu.Unlock()
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
		w.visitors.end()
		x.judge(w)
		x.sum.sent += w.visitors.sent
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
