package deploy_test

import (
	"slices"
	"sync/atomic"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// counting is a router whose hosts have three requests at each question, of which one fails.
type counting struct {
	*deploytest.Router
	asked atomic.Int64
}

func (c *counting) Counts(db.Route) (all, failed int64, ok bool) {
	n := c.asked.Add(1)
	return 3 * n, n, true
}

func TestRequestsAreCountedWhileTheRouteMoves(t *testing.T) {
	t.Parallel()
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, kindOf(config), config)
			w.live("a")
			if dep := w.live("b"); dep.Served != nil || dep.Refused != nil {
				t.Errorf("counted %v and %v by a router that does not", dep.Served, dep.Refused)
			}
			w.deployer.Router = &counting{Router: w.router}
			dep := w.live("c")
			if dep.Served == nil || *dep.Served == 0 || *dep.Served != 2**dep.Refused {
				t.Errorf("counted %v and %v", dep.Served, dep.Refused)
			}
		})
	}
}

func TestPhasesAreKeptWithTheirTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	dep := w.live("a")
	var phases []db.Phase
	for i, e := range dep.Entered {
		phases = append(phases, e.Phase)
		if i > 0 && e.At.Before(dep.Entered[i-1].At) {
			t.Errorf("%s before %s", e.Phase, dep.Entered[i-1].Phase)
		}
	}
	want := []db.Phase{db.PhaseBuilding, db.PhaseStarting, db.PhaseGating, db.PhaseRouting, db.PhaseCommitting, db.PhaseDraining, db.PhaseReaping, db.PhaseLive}
	if !slices.Equal(phases, want) {
		t.Errorf("entered %v, want %v", phases, want)
	}
	failed := w.run(w.push("x"))
	n := len(failed.Entered)
	if n < 2 || failed.Entered[n-2].Phase != db.PhaseUndoing || failed.Entered[n-1].Phase != db.PhaseFailed {
		t.Errorf("entered %v", failed.Entered)
	}
	if failed.Fault == nil || failed.Fault.Code != "check_status" || failed.Fault.Values["status"] != "500" || failed.Fault.Values["path"] != "/up" {
		t.Errorf("fault %+v: %s", failed.Fault, failed.Error)
	}
}

var _ deploy.Counter = (*counting)(nil)
