package app

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tinyforge/db"
)

// maxDescription is the shortest limit of the forges, GitHub's, in characters.
const maxDescription = 140

// outcome is a deployment with the name of its workload.
type outcome struct {
	db.Deployment
	workload string
}

// combine makes one status of the deployments of one commit, since they share its one context: failure as soon as one
// failed, success when all succeeded, pending otherwise. What decides comes first in the text, and decisive is the id of
// the deployment that does.
func combine(all []outcome) (s Status, decisive int64) {
	all = slices.SortedStableFunc(slices.Values(all), func(a, b outcome) int { return cmp.Compare(a.weight(), b.weight()) })
	var texts []string
	for _, o := range all {
		text := o.describe()
		if len(all) > 1 {
			text = o.workload + ": " + text
		}
		texts = append(texts, text)
	}
	first := all[0]
	return Status{
		Commit: first.Commit, State: first.Status, Description: Shorten(strings.Join(texts, "; "), maxDescription),
	}, first.ID
}

// weight orders what people need to see first.
func (o outcome) weight() int {
	return slices.Index([]db.Status{db.StatusFailure, db.StatusPending, db.StatusSuccess}, o.Status)
}

// describe says in a few words what the phase means.
func (o outcome) describe() string {
	switch {
	case o.Phase == db.PhaseQueued:
		return "Waiting for its turn"
	case o.Phase == db.PhaseSkipped:
		return "Live already"
	case o.Status == db.StatusSuccess:
		return fmt.Sprintf("Live in %d s", int(max(1, o.Duration().Round(time.Second).Seconds())))
	case o.Phase == db.PhaseSuperseded:
		return fmt.Sprintf("Superseded by %s before its turn came", o.SupersededBy[:min(7, len(o.SupersededBy))])
	case (o.Phase == db.PhaseFailed || o.Phase == db.PhaseCancelled) && o.Error != "":
		return FirstLine(o.Error)
	case o.Phase == db.PhaseFailed:
		return "Failed"
	}
	return "Being deployed: " + string(o.Phase)
}
