package db_test

import (
	"errors"
	"testing"

	"tinyforge/db"
)

func TestHistory(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.live("", "A")
		f.queued("A", "B")
		failed := f.claim()
		failed.Fault = &db.Fault{Code: "exited", Values: map[string]string{"code": "1"}}
		f.save(failed, db.PhaseFailed)
		second := f.live("B", "C")
		tag := f.enqueue(f.delivery("refs/tags/v1", "", "D"), deploy("refs/tags/v1", "D", f.workload)...).Deployments[0]
		for name, c := range map[string]struct {
			part db.Part
			want []int64
		}{
			"all":      {db.Part{Limit: 10}, []int64{tag, second.ID, failed.ID, first.ID}},
			"two":      {db.Part{Limit: 2}, []int64{tag, second.ID}},
			"older":    {db.Part{Limit: 2, Before: second.ID}, []int64{failed.ID, first.ID}},
			"released": {db.Part{Limit: 10, Phases: db.Released()}, []int64{second.ID, first.ID}},
			"failed":   {db.Part{Limit: 10, Phases: []db.Phase{db.PhaseFailed}}, []int64{failed.ID}},
			"tag":      {db.Part{Limit: 10, Ref: "v1"}, []int64{tag}},
			"branch":   {db.Part{Limit: 1, Ref: "main", Phases: db.Released()}, []int64{second.ID}},
			"none":     {db.Part{Limit: 10, Ref: "dev"}, nil},
		} {
			c.part.WorkloadID = f.workload.ID
			list, err := f.History(t.Context(), c.part)
			f.check(err)
			equal(t, name, ids(list), c.want)
		}
		dep, err := f.DeployedCommit(t.Context(), f.workload.ID, hash("A")[:7])
		if err != nil || dep.ID != first.ID {
			t.Errorf("got %d, %v", dep.ID, err)
		}
		if _, err := f.DeployedCommit(t.Context(), f.workload.ID, "0000000"); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("a commit that was never deployed: %v", err)
		}
		if got := f.read(failed.ID); got.Fault == nil || got.Fault.Code != "exited" || got.Fault.Values["code"] != "1" {
			t.Errorf("fault %+v", got.Fault)
		}
	})
}

func TestEntered(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		queued := f.queued("", "A")
		if got := f.read(queued.ID); len(got.Entered) != 0 {
			t.Errorf("a queued one entered %v", got.Entered)
		}
		dep := f.claim()
		f.save(dep, db.PhaseBuilding) // again
		f.save(dep, db.PhaseStarting)
		f.check(f.HandOver(t.Context(), dep))
		dep = f.claim()
		f.save(dep, db.PhaseGating)
		served, refused := int64(7), int64(0)
		dep.Served, dep.Refused = &served, &refused
		f.commit(dep)
		f.save(dep, db.PhaseLive)
		got := f.read(dep.ID)
		var phases []db.Phase
		for _, e := range got.Entered {
			phases = append(phases, e.Phase)
		}
		equal(t, "phases", phases, []db.Phase{db.PhaseBuilding, db.PhaseStarting, db.PhaseGating, db.PhaseDraining, db.PhaseLive})
		if !got.Entered[0].At.Equal(got.StartedAt) || got.Served == nil || *got.Served != 7 || got.Refused == nil || *got.Refused != 0 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestStandings(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		other := f.newWorkload("blog")
		live := f.live("", "A")
		queued := f.queued("A", "B")
		dep := f.claim()
		f.queued("B", "C")
		list, err := f.Standings(t.Context())
		f.check(err)
		if len(list) != 2 || list[0].ID != other.ID || list[0].LastID != 0 || list[0].LiveID != 0 || list[0].NowID != 0 {
			t.Fatalf("got %+v", list)
		}
		s := list[1]
		if s.Name != "site" || s.LiveID != live.ID || s.LiveCommit != hash("A") || s.NowID != dep.ID ||
			s.NowID != queued.ID || s.NowPhase != db.PhaseBuilding || s.LastPhase != db.PhaseQueued {
			t.Errorf("got %+v", s)
		}
		byID, err := f.DeploymentsByID(t.Context(), live.ID, 999)
		f.check(err)
		if len(byID) != 1 || byID[live.ID].Message != "commit A" || byID[live.ID].Release != nil {
			t.Errorf("got %+v", byID)
		}
		if n, err := f.CountAhead(t.Context(), s.LastID); err != nil || n != 0 {
			t.Errorf("%d ahead, %v", n, err)
		}
		if n, err := f.CountAhead(t.Context(), s.LastID+1); err != nil || n != 1 {
			t.Errorf("%d ahead, %v", n, err)
		}
	})
}

func TestGiveUpReport(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		dep := f.read(f.live("", "A").ID)
		key := db.CommitKey{RepositoryID: f.repo.ID, Commit: dep.Commit}
		f.check(f.GiveUpReport(t.Context(), key, []db.Deployment{dep}, "404"))
		if got := f.read(dep.ID); got.Reported != got.Status || got.ReportError != "404" {
			t.Errorf("got %+v", got)
		}
		dep.ReportSent = db.StatusSuccess
		f.check(f.MarkReported(t.Context(), key, []db.Deployment{dep}))
		if got := f.read(dep.ID); got.ReportError != "" || got.ReportSent != db.StatusSuccess {
			t.Errorf("got %+v", got)
		}
	})
}
