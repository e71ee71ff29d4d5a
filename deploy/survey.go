package deploy

import (
	"context"
	"strings"

	"tinyforge/db"
)

// survey is what a pass reads of all workloads at once, so as to look closer at those only with which something may have to be done:
// at thousands that takes long. It decides nothing: what it does not find in order is found out and decided as if there were no survey.
type survey struct {
	recovery  *Recovery
	targets   map[string]Target // by host, in lower case; nil where the proxy does not tell, and then nothing is in order
	states    map[int64]db.RuntimeState
	unsettled map[int64]bool
	seen      map[int64][]Instance // listed before any row was read
	away      []string             // kinds of runtimes
}

func (r *Recovery) newSurvey(ctx context.Context, targets map[string]Target, instances []Instance, away []string) (*survey, error) {
	s := &survey{recovery: r, targets: targets, states: map[int64]db.RuntimeState{}, seen: map[int64][]Instance{}, away: away}
	for _, i := range instances {
		s.seen[i.WorkloadID] = append(s.seen[i.WorkloadID], i)
	}
	if targets == nil {
		return s, nil
	}
	var err error
	if s.unsettled, err = r.DB.Unsettled(ctx); err != nil { // before what serves, as in patient.examine
		return nil, err
	}
	states, err := r.DB.RuntimeStates(ctx)
	if err != nil {
		return nil, err
	}
	for _, state := range states {
		s.states[state.WorkloadID] = state
	}
	return s, nil
}

// settled tells that nothing is to be done: what should run does, and nothing else, and all routes are as they would be made.
func (s *survey) settled(w db.Workload) bool {
	if s.targets == nil || w.DeletedAt != nil || s.unsettled[w.ID] {
		return false
	}
	state, row := s.states[w.ID]
	p := patient{Recovery: s.recovery, away: s.away, state: state}
	if p.outOfReach(w.Runtime) || row && p.outOfReach(state.Runtime) {
		return true
	}
	seen := s.seen[w.ID]
	if row {
		if len(seen) != 1 || seen[0].ID != state.ReleaseID || seen[0].Elsewhere != "" {
			return false
		}
		if p.live = seen[0]; p.runs() != runsSo {
			return false
		}
	} else if len(seen) > 0 {
		return false
	}
	for _, rt := range w.Routes() {
		if t, ok := s.targets[strings.ToLower(rt.Host)]; !ok || !t.Is(rt, p.upstream()) {
			return false
		}
	}
	return true
}
