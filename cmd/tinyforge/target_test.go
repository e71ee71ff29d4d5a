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

// target is a workload that is deployed again and again.
type target struct {
	name, file string
	strategy   db.Strategy
	clone      *clone
	pushes     int
	serving    string            // the commit
	versions   map[string]string // by commit
	ends       map[string]string // how a commit has to end
}

// watch is a load, of which it is known what was looked at.
type watch struct {
	*load
	judged int // faults
}

// news returns the faults since the last time, and when their requests began and ended.
func (v *watch) news() (faults []string, times [][2]time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	faults, times = slices.Clone(v.faults[v.judged:]), slices.Clone(v.failedIn[v.judged:])
	v.judged = len(v.faults)
	return faults, times
}

// crowd is everybody at a third of the pace, since many worlds share the machine: about 45 requests a second of each workload.
func crowd(freshBodies bool) []visitor {
	all := everybody(freshBodies)
	for i := range all {
		all[i].every *= 3
	}
	return all
}

func sourceOf(s db.Strategy) string {
	if s == db.Stack {
		return "compose"
	}
	return "dockerfile"
}

func configOf(s db.Strategy) string {
	if s == db.Stack {
		return stackConfig
	}
	return fmt.Sprintf("{deploy_strategy: %s, healthcheck: {path: /up, interval: 200ms, attempts: 8}}", s)
}

// push commits a new version of a workload and pushes it.
func (w *target) push(good bool) (commit string) {
	w.pushes++
	version := fmt.Sprintf("%s-%d", w.name, w.pushes)
	env := []string{"VERSION=" + version}
	if !good {
		env = append(env, "UNHEALTHY=1")
	}
	commit = w.clone.push(w.file, w.text(env))
	w.versions[commit] = version
	return commit
}

// text is the file that makes a version.
func (w *target) text(env []string) string {
	if w.strategy == db.Stack {
		return composeFile(strings.TrimPrefix(env[0], "VERSION="), env[1:]...)
	}
	return dockerfile(env...)
}

// oneServes tells what is wrong with a workload: row, container and route have to agree on the release of the commit.
func (s *service) oneServes(w *target) string {
	row := s.workload(w.name)
	if dep, err := s.store.InProgress(s.Context(), row.ID); !errors.Is(err, db.ErrNotFound) {
		return fmt.Sprintf("deployment %d is %s (%v)", dep.ID, dep.Phase, err)
	}
	state, err := s.store.RuntimeState(s.Context(), row.ID)
	s.must(err)
	if state.Commit != w.serving {
		return fmt.Sprintf("the row names %s, not %s", state.Commit, w.serving)
	}
	left := s.releases(w.name)
	if len(left) != 1 || left[0].State != "running" || left[0].Labels["tinyforge.release"] != string(state.ReleaseID) {
		return fmt.Sprintf("the row names %s, and there are %+v", state.ReleaseID, left)
	}
	code, body := s.get(s.site+"/", row.Host)
	if code != http.StatusOK || strings.TrimSpace(body) != w.versions[w.serving] {
		return fmt.Sprintf("the site answers %d %q, not %q", code, body, w.versions[w.serving])
	}
	for _, d := range s.deployments(w.name) {
		if live := d.ID == state.DeploymentID; live != (d.Phase == db.PhaseLive) || !d.Phase.Final() {
			return fmt.Sprintf("deployment %d is %s, and %d serves", d.ID, d.Phase, state.DeploymentID)
		}
	}
	return ""
}

// leftOver names what nobody needs: each release has one container, the stack one more, a network and a volume.
func (s *service) leftOver(workloads []*target) string {
	stacks := 0
	for _, w := range workloads {
		if w.strategy == db.Stack {
			stacks++
		}
	}
	docker := newDockerAPI(s.T)
	ours := filter("label", "tinyforge.instance="+s.instance)
	var networks []struct{ Name string }
	docker.call(http.MethodGet, "/networks?"+ours, &networks)
	var volumes struct{ Volumes []struct{ Name string } }
	docker.call(http.MethodGet, "/volumes?"+ours, &volumes)
	checkouts, err := os.ReadDir(filepath.Join(s.data(), "checkouts"))
	containers := docker.containers(s.instance)
	switch {
	case len(containers) != len(workloads)+stacks:
		return fmt.Sprintf("%d containers: %+v", len(containers), containers)
	case len(networks) > 1+stacks:
		return fmt.Sprintf("networks %v", networks)
	case len(volumes.Volumes) > stacks:
		return fmt.Sprintf("volumes %v", volumes)
	case err != nil || len(checkouts) > 0:
		return fmt.Sprintf("checkouts %v (%v)", checkouts, err)
	}
	return ""
}

// data is the folder that the last of the options names.
func (s *service) data() (dir string) {
	for _, option := range s.env {
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
