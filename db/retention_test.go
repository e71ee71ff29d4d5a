package db_test

import (
	"slices"
	"testing"

	"tinyforge/db"
)

func TestRetention(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		var live []*db.Deployment
		before := ""
		for _, commit := range []string{"A", "B", "C", "D"} {
			live = append(live, f.live(before, commit))
			before = commit
		}
		f.queued("D", "E")
		failed := f.claim()
		failed.Release = release(failed)
		f.save(failed, db.PhaseFailed)
		f.queued("E", "F")
		building := f.claim()

		kept := func(keep int) (kept, old []db.ReleaseID, unfinished []int64) {
			r, err := f.Retention(t.Context(), keep)
			f.check(err)
			for _, release := range r.Kept {
				kept = append(kept, release.ID)
			}
			for _, release := range r.Old {
				old = append(old, release.ID)
			}
			slices.Sort(kept)
			return slices.Compact(kept), old, ids(r.Unfinished)
		}
		names := func(all ...*db.Deployment) (names []db.ReleaseID) {
			for _, dep := range all {
				names = append(names, dep.Release.ID)
			}
			return names
		}
		got, old, unfinished := kept(3)
		equal(t, "kept of three", got, names(live[1:]...))
		equal(t, "old of three", old, names(failed, live[0]))
		equal(t, "unfinished", unfinished, []int64{building.ID})
		got, old, _ = kept(1)
		equal(t, "kept of one", got, names(live[3]))
		equal(t, "old of one", old, names(failed, live[2], live[1], live[0]))

		building.Release = release(building)
		f.save(building, db.PhaseGating)
		back, err := f.QueueRollback(t.Context(), live[0].ID)
		f.check(err)
		got, old, unfinished = kept(1)
		equal(t, "kept with a rollback that waits", got, names(live[0], live[3], building))
		equal(t, "old with a rollback that waits", old, names(failed, live[2], live[1]))
		equal(t, "unfinished", unfinished, []int64{back.ID, building.ID})
	})
}
