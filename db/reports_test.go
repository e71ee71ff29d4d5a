package db_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"tinyforge/db"
)

func (f *fixture) key(commit string) db.CommitKey {
	return db.CommitKey{RepositoryID: f.repo.ID, Commit: hash(commit)}
}

func (f *fixture) due(want ...db.CommitKey) {
	f.t.Helper()
	got, err := f.DueReports(f.t.Context(), 100)
	f.check(err)
	equal(f.t, "due", got, want)
}

// told marks what DeploymentsOfCommit returned, as a reporter does after it spoke to the forge.
func (f *fixture) told(commit string, list []db.Deployment) {
	f.t.Helper()
	f.check(f.MarkReported(f.t.Context(), f.key(commit), list))
}

func (f *fixture) ofCommit(commit string) []db.Deployment {
	f.t.Helper()
	list, err := f.DeploymentsOfCommit(f.t.Context(), f.key(commit))
	f.check(err)
	return list
}

func TestReports(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		if _, ok, err := f.NextReport(t.Context()); err != nil || ok {
			t.Errorf("next report of nothing: %v, %v", ok, err)
		}
		f.due()
		f.queued("", "A")
		at, ok, err := f.NextReport(t.Context())
		if f.check(err); !ok || at.After(time.Now()) || at.Before(time.Now().Add(-time.Minute)) {
			t.Errorf("next report at %v, %v", at, ok)
		}
		f.due(f.key("A"))
		f.due() // somebody speaks to the forge
		if at, ok, err := f.NextReport(t.Context()); err != nil || !ok || time.Until(at) < 50*time.Second || time.Until(at) > time.Minute {
			t.Errorf("next report at %v, %v, %v", at, ok, err)
		}
		if _, err := f.BreakLeases(t.Context()); err != nil { // that somebody is dead
			t.Fatal(err)
		}
		f.due(f.key("A"))
		f.told("A", f.ofCommit("A"))
		if _, ok, err := f.NextReport(t.Context()); err != nil || ok {
			t.Errorf("everything is told: %v, %v", ok, err)
		}
		dep := f.claim()
		f.save(dep, db.PhaseGating)
		f.due() // still pending
		f.commit(dep)
		f.due(f.key("A"))
		f.told("A", f.ofCommit("A"))
		f.save(dep, db.PhaseLive)
		f.due()
		if got := f.read(dep.ID); got.Reported != db.StatusSuccess {
			t.Errorf("got %+v", got)
		}
	})
}

func TestDeploymentThatMovedOnStaysDue(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.queued("", "A")
		f.due(f.key("A"))
		read := f.ofCommit("A")
		dep := f.claim()
		f.save(dep, db.PhaseFailed) // while the reporter tells the forge that it is pending
		f.due()                     // two statuses at once could arrive in the wrong order
		f.told("A", read)
		f.due(f.key("A"))
		f.told("A", f.ofCommit("A"))
		f.due()
		if got := f.read(dep.ID); got.Reported != db.StatusFailure {
			t.Errorf("got %+v", got)
		}
	})
}

func TestACommitIsReportedBySomeoneAtATime(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		other := f.newWorkload("other")
		f.enqueue(f.delivery(main, "", "A"), deploy(main, "A", f.workload, other)...)
		keys, err := f.DueReports(t.Context(), 1)
		f.check(err)
		equal(t, "due, at most one", keys, []db.CommitKey{f.key("A")})
		f.due() // neither by its second deployment
		third := f.newWorkload("third")
		f.enqueue(f.delivery("refs/heads/dev", "", "A"), deploy("refs/heads/dev", "A", third)...)
		f.due() // nor by one that came since
		if at, ok, err := f.NextReport(t.Context()); err != nil || !ok || time.Until(at) < 50*time.Second {
			t.Errorf("next report at %v, %v, %v", at, ok, err)
		}
		list := f.ofCommit("A")
		equal(t, "deployments", []int64{list[0].WorkloadID, list[1].WorkloadID, list[2].WorkloadID}, []int64{f.workload.ID, other.ID, third.ID})
		f.told("A", list[:2])
		f.check(f.DelayReport(t.Context(), f.key("A"), time.Now().Add(-time.Second)))
		f.due(f.key("A")) // the third one is not told
		f.told("A", f.ofCommit("A"))
		f.due()
	})
}

func TestDueReportsAreLimited(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		before := ""
		for i := range 5 {
			after := fmt.Sprint(i)
			f.queued(before, after)
			before = after
		}
		var all []db.CommitKey
		for _, want := range []int{2, 2, 1, 0} {
			keys, err := f.DueReports(t.Context(), 2)
			f.check(err)
			if len(keys) != want {
				t.Errorf("got %d keys, want %d", len(keys), want)
			}
			all = append(all, keys...)
		}
		for i := range 5 {
			key := f.key(fmt.Sprint(i))
			if n := count(all, key); n != 1 {
				t.Errorf("commit %d came %d times", i, n)
			}
		}
		if first := all[:2]; count(first, f.key("0")) != 1 || count(first, f.key("1")) != 1 {
			t.Error("the oldest do not come first")
		}
	})
}

func count(keys []db.CommitKey, key db.CommitKey) (n int) {
	for _, k := range keys {
		if k == key {
			n++
		}
	}
	return n
}

func TestSeveralReporters(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const commits = 40
		other := f.newWorkload("other")
		for i := range commits {
			ref, commit := fmt.Sprintf("refs/heads/%d", i), fmt.Sprint(i)
			f.enqueue(f.delivery(ref, "", commit), deploy(ref, commit, f.workload, other)...)
		}
		handles := []*db.DB{f.DB, f.again()}
		var mu sync.Mutex
		seen := map[db.CommitKey]int{}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for {
					keys, err := handles[i%2].DueReports(t.Context(), 3)
					if err != nil {
						t.Error(err)
					}
					if len(keys) == 0 {
						return
					}
					mu.Lock()
					for _, key := range keys {
						seen[key]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for i := range commits {
			if n := seen[f.key(fmt.Sprint(i))]; n != 1 {
				t.Errorf("commit %d was given to %d reporters", i, n)
			}
		}
	})
}

func TestDelayReport(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		dep := f.queued("", "A")
		f.due(f.key("A"))
		after := time.Now().Add(time.Hour).Truncate(time.Microsecond)
		f.check(f.DelayReport(t.Context(), f.key("A"), after))
		f.due()
		if at, ok, err := f.NextReport(t.Context()); err != nil || !ok || !at.Equal(after) {
			t.Errorf("next report at %v, %v, %v; want %v", at, ok, err, after)
		}
		f.check(f.DelayReport(t.Context(), f.key("A"), time.Now().Add(-time.Second)))
		if got := f.read(dep.ID); got.ReportAttempts != 2 {
			t.Errorf("%d attempts", got.ReportAttempts)
		}
		f.due(f.key("A"))
		f.check(f.HastenReports(t.Context(), db.Way{ForgeID: f.forge.ID})) // it is being told
		f.due()
		f.check(f.DelayReport(t.Context(), f.key("A"), after))
		f.check(f.HastenReports(t.Context(), db.Way{ForgeID: f.forge.ID + 1}))
		f.due()
		f.check(f.HastenReports(t.Context(), db.Way{ForgeID: f.forge.ID}))
		f.due(f.key("A"))
		f.told("A", f.ofCommit("A"))
		if got := f.read(dep.ID); got.ReportAttempts != 0 || got.Reported != db.StatusPending {
			t.Errorf("got %+v", got)
		}
		f.check(f.DelayReport(t.Context(), f.key("A"), after)) // all is told: nothing to delay
		if got := f.read(dep.ID); got.ReportAttempts != 0 || got.ReportAfter.Equal(after) {
			t.Errorf("got %+v", got)
		}
	})
}

// What is called off says nothing of its commit, whatever asked for it: the commit is as live, or as far on its way, as before.
func TestReportsOfADeploymentThatWasCalledOff(t *testing.T) {
	for name, callOff := range map[string]func(f *fixture, id int64){
		"superseded": func(f *fixture, _ int64) { f.push("A", "B") },
		"cancelled":  func(f *fixture, id int64) { f.check(f.Cancel(f.t.Context(), id)) },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, f *fixture) {
				first := f.live("", "A")
				f.told("A", f.ofCommit("A"))
				again, err := f.QueueRedeploy(t.Context(), first.ID)
				f.check(err)
				equal(t, "waiting", ids(f.ofCommit("A")), []int64{again.ID})
				f.told("A", f.ofCommit("A")) // it is pending
				callOff(f, again.ID)
				list := f.ofCommit("A")
				if equal(t, "of the commit", ids(list), []int64{first.ID}); list[0].Status != db.StatusSuccess {
					t.Errorf("what is live is %s", list[0].Status)
				}
				if keys, err := f.DueReports(t.Context(), 100); err != nil || count(keys, f.key("A")) != 1 {
					t.Errorf("due %v, %v: the forge knows it as pending", keys, err)
				}
				f.check(f.DelayReport(t.Context(), f.key("A"), time.Now()))
				if list := f.ofCommit("A"); list[0].ReportAttempts != 1 {
					t.Errorf("%d failed attempts, want 1", list[0].ReportAttempts)
				}
				f.told("A", f.ofCommit("A"))
				if n := f.count("deployments", "unreported AND commit_hash = ?", hash("A")); n != 0 {
					t.Errorf("%d deployments stay due", n)
				}
			})
		})
	}
}

// The commit of a deployment in progress is asked for again, and superseded: it goes live all the same.
func TestReportsOfWhatGoesLiveMeanwhile(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.queued("", "A")
		dep := f.claim()
		again, err := f.QueueRedeploy(t.Context(), first.ID)
		f.check(err)
		f.push("A", "B")
		if f.read(again.ID).Phase != db.PhaseSuperseded {
			t.Fatalf("it is %s", f.read(again.ID).Phase)
		}
		f.told("A", f.ofCommit("A"))
		f.told("B", f.ofCommit("B"))
		f.commit(dep)
		if list := f.ofCommit("A"); list[0].ID != first.ID || list[0].Status != db.StatusSuccess {
			t.Errorf("of the commit: %+v", list)
		}
		f.due(f.key("A"))
	})
}

// A commit that is deployed again has one status, that of its newest deployment.
func TestReportsOfACommitDeployedAgain(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.live("", "A")
		f.queued("A", "B")
		f.save(f.claim(), db.PhaseFailed)
		f.push("B", "C")
		f.push("C", "A") // what is queued for C is superseded
		again := f.claim()
		if again.Commit != first.Commit || again.ID == first.ID {
			t.Fatalf("claimed %+v", again)
		}
		list := f.ofCommit("A")
		equal(t, "of the commit", ids(list), []int64{again.ID})
		f.save(again, db.PhaseFailed)
		f.told("A", f.ofCommit("A"))
		if got := f.read(first.ID); got.Reported != got.Status || got.Status != db.StatusSuccess {
			t.Errorf("the first deployment still has a say: %+v", got)
		}
		f.told("B", f.ofCommit("B"))
		f.told("C", f.ofCommit("C"))
		f.due()
		if list := f.ofCommit("absent"); len(list) != 0 {
			t.Errorf("got %v", list)
		}
	})
}
