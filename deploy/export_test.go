package deploy

import "tinyforge/db"

// PhasesOf returns the phases of every strategy, undoing included.
func PhasesOf() map[db.Strategy][]db.Phase {
	all := map[db.Strategy][]db.Phase{}
	for strategy, steps := range strategies {
		for _, s := range append(steps[:len(steps):len(steps)], undoing) {
			all[strategy] = append(all[strategy], s.phase)
		}
	}
	return all
}
