package settings

import (
	"slices"
	"time"

	"tinyforge/db"
)

// phaseRow is a phase of a deployment as its page lists it.
type phaseRow struct {
	Key   string // of its name
	State string // "done", "running", "failed", "none" where it did not come to it, "queued" where it has still to
	Took  time.Duration
	Width int // of its bar, of 100
}

// steps are the phases of each strategy, as people are told of them. Those of a strategy that is not known yet are what all
// have in common.
var steps = map[db.Strategy][]db.Phase{
	db.BlueGreen: {db.PhaseQueued, db.PhaseBuilding, db.PhaseStarting, db.PhaseGating, db.PhaseRouting, db.PhaseDraining, db.PhaseReaping},
	db.Recreate:  {db.PhaseQueued, db.PhaseBuilding, db.PhaseStopping, db.PhaseStarting, db.PhaseGating, db.PhaseRouting, db.PhaseReaping},
	db.Scale:     {db.PhaseQueued, db.PhaseBuilding, db.PhaseStarting, db.PhaseGating, db.PhaseRouting, db.PhaseReaping},
	"":           {db.PhaseQueued, db.PhaseBuilding, db.PhaseStarting, db.PhaseGating, db.PhaseRouting, db.PhaseReaping},
}

// phaseKeys are the names of phases.
var phaseKeys = map[db.Phase]string{
	db.PhaseQueued: "phase.queue", db.PhaseBuilding: "phase.build", db.PhaseStopping: "phase.stop", db.PhaseStarting: "phase.start",
	db.PhaseGating: "phase.check", db.PhaseRouting: "phase.switch", db.PhaseDraining: "phase.drain", db.PhaseReaping: "phase.clean",
	db.PhaseUndoing: "phase.undo",
}

// span is the time in one phase.
type span struct {
	phase    db.Phase
	from, to time.Time
}

// spans are the times of a deployment in its phases, in order, those of the end left out. The commit point is part of the
// switch.
func spans(dep db.Deployment, now time.Time) (all []span) {
	if end := dep.StartedAt; end.IsZero() {
		end = dep.FinishedAt
		if end.IsZero() {
			end = now
		}
		return []span{{db.PhaseQueued, dep.CreatedAt, end}}
	}
	all = append(all, span{db.PhaseQueued, dep.CreatedAt, dep.StartedAt})
	for i, e := range dep.Entered {
		if e.Phase.Final() {
			break
		}
		to := now
		if i+1 < len(dep.Entered) {
			to = dep.Entered[i+1].At
		}
		if last := &all[len(all)-1]; e.Phase == db.PhaseCommitting && last.phase == db.PhaseRouting {
			last.to = to
			continue
		}
		all = append(all, span{e.Phase, e.At, to})
	}
	return all
}

// phaseRows lists the phases: each once, with all the time that was spent in it.
func phaseRows(dep db.Deployment, now time.Time) (rows []phaseRow) {
	took, seen := map[db.Phase]time.Duration{}, map[db.Phase]bool{}
	var current, failed db.Phase
	all := spans(dep, now)
	for i, s := range all {
		took[s.phase] += s.to.Sub(s.from)
		seen[s.phase] = true
		current = s.phase
		if s.phase == db.PhaseUndoing && i > 0 {
			failed = all[i-1].phase
		}
	}
	names := steps[""]
	if list, ok := steps[dep.Strategy]; ok {
		names = list
	}
	if seen[db.PhaseUndoing] {
		names = append(slices.Clone(names), db.PhaseUndoing)
	}
	for _, phase := range names {
		row := phaseRow{Key: phaseKeys[phase], State: "queued", Took: took[phase]}
		switch {
		case phase == failed:
			row.State = "failed"
		case seen[phase] && (phase != current || dep.Phase.Final()):
			row.State = "done"
		case seen[phase]:
			row.State = "running"
		case dep.Phase.Final() || seen[db.PhaseUndoing]:
			row.State = "none"
		}
		rows = append(rows, row)
	}
	return widen(rows)
}

// widen makes the bars as long as the phases took, the longest one 100.
func widen(rows []phaseRow) []phaseRow {
	longest := time.Millisecond
	for _, r := range rows {
		longest = max(longest, r.Took)
	}
	for i, r := range rows {
		if r.Took > 0 {
			rows[i].Width = max(1, int(100*r.Took/longest))
		}
	}
	return rows
}

// downtime is for how long no copy ran; 0 where one always did.
func downtime(dep db.Deployment, now time.Time) time.Duration {
	var from, to time.Time
	for _, s := range spans(dep, now) {
		if s.phase == db.PhaseStopping && from.IsZero() {
			from = s.from
		}
		to = s.to
		if s.phase == db.PhaseGating || s.phase == db.PhaseUndoing {
			if !from.IsZero() {
				return to.Sub(from)
			}
		}
	}
	return 0
}

// stumbled is the phase in which a deployment failed; "" where that is not known.
func stumbled(dep db.Deployment) db.Phase {
	for i, e := range dep.Entered {
		if e.Phase == db.PhaseUndoing && i > 0 {
			return dep.Entered[i-1].Phase
		}
	}
	return ""
}
