package deploy

import "tinyforge/db"

// count is what the hosts of a workload had in requests at a time.
type count struct{ all, failed int64 }

// count takes the figures when the routes begin to move, by the phase that is entered next, and keeps what was added since
// in the row until they have moved. It is called before the row is written.
func (j *job) count(next db.Phase) {
	switch {
	case j.counted == nil && (next == db.PhaseStopping || next == db.PhaseRouting):
		j.counted = j.requests()
	case j.counted == nil || j.dep.Phase == db.PhaseReaping:
	default:
		now := j.requests()
		if now == nil || now.all < j.counted.all || now.failed < j.counted.failed {
			return // the proxy was started again
		}
		failed := now.failed - j.counted.failed
		served := max(0, now.all-j.counted.all-failed)
		j.dep.Served, j.dep.Refused = &served, &failed
	}
}

// requests is what the hosts had until now, nil where nobody counts, and where there is no route yet.
func (j *job) requests() *count {
	counter, ok := j.Router.(Counter)
	if !ok {
		return nil
	}
	var sum count
	routes := j.workload.Routes()
	for _, route := range routes {
		all, failed, ok := counter.Counts(route)
		if !ok {
			return nil
		}
		sum.all, sum.failed = sum.all+all, sum.failed+failed
	}
	if len(routes) == 0 {
		return nil
	}
	return &sum
}
