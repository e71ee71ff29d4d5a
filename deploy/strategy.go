package deploy

import (
	"context"
	"fmt"

	"tinyforge/db"
)

// step is one phase and its side effect, which may be repeated without harm.
type step struct {
	phase db.Phase
	do    func(*job, context.Context) error
}

// strategies are the phases of each strategy, in order. Before committing there is only back, after it only forward.
// The side effect of committing is the transaction that leaves it (see job.pass).
var strategies = map[db.Strategy][]step{
	db.BlueGreen: {
		{db.PhaseBuilding, (*job).build},
		{db.PhaseStarting, (*job).start},
		{db.PhaseGating, (*job).gate},
		{db.PhaseRouting, (*job).route},
		{db.PhaseCommitting, (*job).commit},
		{db.PhaseDraining, (*job).drain},
		{db.PhaseReaping, (*job).reap},
	},
	db.Recreate: {
		{db.PhaseBuilding, (*job).build},
		{db.PhaseStopping, (*job).stop},
		{db.PhaseStarting, (*job).start},
		{db.PhaseGating, (*job).gate},
		{db.PhaseRouting, (*job).route},
		{db.PhaseCommitting, (*job).commit},
		{db.PhaseReaping, (*job).reap},
	},
	db.Scale: {
		{db.PhaseBuilding, (*job).build},
		{db.PhaseStarting, (*job).start},
		{db.PhaseGating, (*job).gate},
		{db.PhaseRouting, (*job).route},
		{db.PhaseCommitting, (*job).commit},
		{db.PhaseReaping, (*job).reap},
	},
	db.Stack: {
		{db.PhaseBuilding, (*job).build},
		{db.PhaseStarting, (*job).startStack},
		{db.PhaseGating, (*job).gate},
		{db.PhaseRouting, (*job).route},
		{db.PhaseCommitting, (*job).commit},
		{db.PhaseReaping, (*job).reap},
	},
}

// building is the step that every strategy begins with; it finds out which strategy it is.
var building = step{db.PhaseBuilding, (*job).build}

// undoing is the step that takes everything before the commit point back.
var undoing = step{db.PhaseUndoing, (*job).undo}

// stepOf returns the step of a phase that is not final.
func stepOf(strategy db.Strategy, phase db.Phase) (step, error) {
	switch phase {
	case db.PhaseBuilding:
		return building, nil
	case db.PhaseUndoing:
		return undoing, nil
	}
	for _, s := range strategies[strategy] {
		if s.phase == phase {
			return s, nil
		}
	}
	return step{}, fmt.Errorf("strategy %q has no phase %q", strategy, phase)
}

// after returns the phase that follows when a phase succeeded.
func after(strategy db.Strategy, phase db.Phase) db.Phase {
	if phase == db.PhaseUndoing {
		return db.PhaseFailed
	}
	steps := strategies[strategy]
	for i, s := range steps[:len(steps)-1] {
		if s.phase == phase {
			return steps[i+1].phase
		}
	}
	return db.PhaseLive
}

// reentry returns the phase in which a claimed deployment goes on that is neither committed nor undone. What was done between
// building and committing cannot be trusted after a restart, so it is done again from its beginning; every step converges.
func reentry(strategy db.Strategy, phase db.Phase) db.Phase {
	if phase == db.PhaseBuilding {
		return phase
	}
	return after(strategy, db.PhaseBuilding)
}

// BuildGreenName names the release of a deployment: the same on every attempt, unique among all releases, and a valid
// DNS label as long as the workload's name is one of at most 40 characters.
func BuildGreenName(workload string, deploymentID int64) db.ReleaseID {
	return db.ReleaseID(fmt.Sprintf("tf-%s-%d", workload, deploymentID))
}
