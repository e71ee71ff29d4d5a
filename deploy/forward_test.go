package deploy_test

import (
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// TestOnlyForwardAfterTheCommit: what cannot be removed at all makes nothing fail; the recovery removes it.
func TestOnlyForwardAfterTheCommit(t *testing.T) {
	t.Parallel()
	for name, config := range configs {
		if name == "stack" {
			continue // it has nothing to remove
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, kindOf(config), config)
			w.live("a")
			w.deployer.Runtime = w.runtime.With(deploytest.FailAt("runtime.remove:before", &deploy.Failure{Text: "Docker is busy"}))
			if dep := w.run(w.push("b")); dep.Phase != db.PhaseLive || dep.Error != "" {
				t.Errorf("it is %s: %s", dep.Phase, dep.Error)
			}
			w.answersOrWaits(true)
			w.deployer.Runtime = w.runtime
			w.pass()
			w.serves("b")
		})
	}
}

// TestRouteThatIsMovedBackAtTheCommit: a process that has read the rows of before leads nobody to what is about to be removed.
func TestRouteThatIsMovedBackAtTheCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	rt := db.Route{WorkloadID: w.workload.ID, Host: host}
	blue, err := w.router.Current(t.Context(), rt)
	must(t, err)
	w.deployer.Point = func(name string) {
		if name == "draining:before" {
			must(t, w.router.Upsert(t.Context(), rt, blue))
		}
	}
	w.run(w.push("b"))
	w.serves("b")
}
