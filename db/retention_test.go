package db_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"tinyforge/db"
)

// kept returns what Retention tells, sorted.
func (f *fixture) kept(keep int) (kept []db.ReleaseID, unfinished []int64) {
	f.t.Helper()
	r, err := f.Retention(f.t.Context(), keep)
	f.check(err)
	for _, release := range r.Kept {
		kept = append(kept, release.ID)
	}
	slices.Sort(kept)
	return slices.Compact(kept), ids(r.Unfinished)
}

func releasesOf(all ...*db.Deployment) (names []db.ReleaseID) {
	for _, dep := range all {
		names = append(names, dep.Release.ID)
	}
	return names
}

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

		got, unfinished := f.kept(3)
		equal(t, "kept of three", got, releasesOf(live[1:]...))
		equal(t, "unfinished", unfinished, []int64{building.ID})
		got, _ = f.kept(1)
		equal(t, "kept of one", got, releasesOf(live[3]))

		building.Release = release(building)
		f.save(building, db.PhaseGating)
		back, err := f.QueueRollback(t.Context(), live[0].ID)
		f.check(err)
		got, unfinished = f.kept(1)
		equal(t, "kept with a rollback that waits", got, releasesOf(live[0], live[3], building))
		equal(t, "unfinished", unfinished, []int64{back.ID, building.ID})
	})
}

// TestRetentionAfterManyPushes: neither the good releases nor what is being built are forgotten over what came after them.
func TestRetentionAfterManyPushes(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		a, b := f.live("", "A"), f.live("A", "B")
		f.queued("B", "C")
		building := f.claim()
		building.Release = release(building)
		f.save(building, db.PhaseBuilding)
		before := "C"
		for n := range 120 { // each supersedes the one before
			after := fmt.Sprint("push ", n)
			f.queued(before, after)
			before = after
		}
		got, unfinished := f.kept(2)
		equal(t, "kept", got, releasesOf(a, b, building))
		if len(unfinished) != 2 || unfinished[1] != building.ID {
			t.Errorf("unfinished are %v, want one that waits and %d", unfinished, building.ID)
		}
	})
}

func TestPruneLogs(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		retired, live := f.live("", "A"), f.live("A", "B")
		f.queued("B", "C")
		building := f.claim()
		for _, dep := range []*db.Deployment{retired, live, building} {
			f.check(f.AppendLog(t.Context(), db.LogLine{DeploymentID: dep.ID, Phase: db.PhaseBuilding, At: time.Now(), Text: "hello"}))
		}
		left := func() (all []int64) {
			for _, dep := range []*db.Deployment{retired, live, building} {
				lines, err := f.Log(t.Context(), dep.ID, 0, 10)
				f.check(err)
				if len(lines) > 0 {
					all = append(all, dep.ID)
				}
			}
			return all
		}
		prune := func(before time.Time, want int) {
			t.Helper()
			n, err := f.PruneLogs(t.Context(), before)
			f.check(err)
			if n != want {
				t.Errorf("%d lines were removed, want %d", n, want)
			}
		}
		prune(time.Now().Add(-time.Hour), 0)
		equal(t, "all are young", left(), []int64{retired.ID, live.ID, building.ID})
		prune(time.Now().Add(time.Hour), 1)
		equal(t, "with a log", left(), []int64{live.ID, building.ID})
	})
}
