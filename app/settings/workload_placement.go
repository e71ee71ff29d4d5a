package settings

import (
	"slices"
	"strconv"
	"strings"

	"tinyforge/db"
)

// mostReplicas is how often a release may run, as the sources have it.
const mostReplicas = 1000

// Runtimes that the form has texts for.
const (
	onDocker = db.RuntimeDocker
	onSwarm  = "swarm"
)

// placed are the keys of a config that say where a container runs and how often.
var placed = []string{"runtime", "replicas", "constraints", "secret_files"}

// runtimes are those that the form offers: those that there are, and what it says already. None where there is nothing to choose.
func (f *workloadForm) runtimes(there []string) (offered []string) {
	for _, kind := range []string{onDocker, onSwarm} {
		if kind == onDocker || slices.Contains(there, kind) || f.Get("runtime") == kind {
			offered = append(offered, kind)
		}
	}
	if len(offered) > 1 || f.any("replicas", "constraints") || f.Error("runtime") != nil {
		return offered
	}
	return nil
}

// checkPlacement is checkFields for where it runs.
func (f *workloadForm) checkPlacement() {
	text := strings.TrimSpace(f.Get("replicas"))
	n, err := strconv.Atoi(text)
	alone := f.Values.Has("runtime") && f.Is("runtime", onDocker)
	switch {
	case text == "":
	case err != nil || n < 1 || n > mostReplicas:
		f.Fail("replicas", "err.number", "min", 1, "max", mostReplicas)
	case alone && n > 1:
		f.Fail("replicas", "err.swarm_only")
	}
	if alone && strings.TrimSpace(f.Get("constraints")) != "" {
		f.Fail("constraints", "err.swarm_only")
	}
}
