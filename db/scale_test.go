package db_test

import (
	"errors"
	"testing"
	"time"

	"tinyforge/db"
)

// What scales says nothing of its commit, however it ends: the commit is as live as before.
func TestReportsOfWhatScales(t *testing.T) {
	for name, end := range map[string]func(f *fixture, id int64){
		"queued":     func(*fixture, int64) {},
		"started":    func(f *fixture, _ int64) { f.save(f.claim(), db.PhaseStarting) },
		"live":       func(f *fixture, _ int64) { dep := f.claim(); f.commit(dep); f.save(dep, db.PhaseLive) },
		"skipped":    func(f *fixture, _ int64) { f.save(f.claim(), db.PhaseSkipped) },
		"failed":     func(f *fixture, _ int64) { f.save(f.claim(), db.PhaseFailed) },
		"cancelled":  func(f *fixture, id int64) { f.check(f.Cancel(f.t.Context(), id)) },
		"superseded": func(f *fixture, _ int64) { f.push("A", "B"); f.told("B", f.ofCommit("B")) },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, f *fixture) {
				first := f.live("", "A")
				f.told("A", f.ofCommit("A"))
				nothing := func(when string) {
					f.due()
					if _, ok, err := f.NextReport(t.Context()); err != nil || ok {
						t.Errorf("%s: a report is due (%v)", when, err)
					}
					if n, err := f.CountUnreported(t.Context()); err != nil || n != 0 {
						t.Errorf("%s: %d deployments are unreported (%v)", when, n, err)
					}
					list := f.ofCommit("A")
					if equal(t, when+": of the commit", ids(list), []int64{first.ID}); list[0].Status != db.StatusSuccess || list[0].Reported != db.StatusSuccess {
						t.Errorf("%s: the commit is %s, reported %s", when, list[0].Status, list[0].Reported)
					}
				}
				dep, err := f.QueueScale(t.Context(), f.workload.ID)
				f.check(err)
				if dep.Cause != db.CauseScale || dep.Commit != first.Commit {
					t.Fatalf("queued %+v", dep)
				}
				end(f, dep.ID)
				nothing("at the end")
				f.check(f.HastenReports(t.Context(), db.Way{ForgeID: f.repo.ForgeID}))
				f.check(f.DelayReport(t.Context(), f.key("A"), time.Now()))
				nothing("after a delay")
			})
		})
	}
}

// What scaled leaves nothing to tell that would keep a deleted workload.
func TestPurgeOfWhatScaled(t *testing.T) {
	for name, end := range map[string]func(f *fixture){
		"live":                func(f *fixture) { dep := f.claim(); f.commit(dep); f.save(dep, db.PhaseLive) },
		"failed":              func(f *fixture) { f.save(f.claim(), db.PhaseFailed) },
		"queued when deleted": func(*fixture) {},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, f *fixture) {
				f.live("", "A")
				f.told("A", f.ofCommit("A"))
				_, err := f.QueueScale(t.Context(), f.workload.ID)
				f.check(err)
				end(f)
				f.check(f.DeleteWorkload(t.Context(), f.workload.ID, false))
				if gone, err := f.PurgeWorkload(t.Context(), f.workload.ID); err != nil || !gone {
					t.Errorf("purged %v (%v)", gone, err)
				}
			})
		})
	}
}

func TestQueueScale(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		if _, err := f.QueueScale(t.Context(), f.workload.ID); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("of nothing: %v", err)
		}
		first := f.live("", "A")
		dep, err := f.QueueScale(t.Context(), f.workload.ID)
		f.check(err)
		if again, err := f.QueueScale(t.Context(), f.workload.ID); err != nil || again.ID != dep.ID {
			t.Errorf("queued twice: %d and %d (%v)", dep.ID, again.ID, err)
		}
		if dep.ID == first.ID || dep.Ref != first.Ref || dep.RepositoryID != first.RepositoryID {
			t.Errorf("queued %+v", dep)
		}
		push := f.push("A", "B").Deployments[0]
		if got := f.read(dep.ID).Phase; got != db.PhaseSuperseded {
			t.Errorf("what a push overtook is %s", got)
		}
		if waits, err := f.QueueScale(t.Context(), f.workload.ID); err != nil || waits.ID != push {
			t.Errorf("queued %d beside %d (%v)", waits.ID, push, err)
		}
		f.check(f.DeleteWorkload(t.Context(), f.workload.ID, false))
		if _, err := f.QueueScale(t.Context(), f.workload.ID); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("of a deleted one: %v", err)
		}
	})
}

// onSwarm commits a claimed deployment whose release runs so often on a Swarm.
func (f *fixture) onSwarm(dep *db.Deployment, replicas int, volumes ...db.Volume) {
	f.t.Helper()
	dep.Release = release(dep)
	dep.Release.Runtime, dep.Release.Replicas, dep.Release.Volumes = "swarm", replicas, volumes
	dep.Phase = db.PhaseReaping
	f.check(f.Commit(f.t.Context(), dep, state(dep)))
	f.save(dep, db.PhaseLive)
}

func (f *fixture) wants(config string) {
	f.t.Helper()
	f.workload.Config = []byte(config)
	f.check(f.SaveWorkload(f.t.Context(), &f.workload))
}

// What left a scaling to a deployment that does not go live is not forgotten.
func TestScaleIsNotForgotten(t *testing.T) {
	const three = `{"runtime":"swarm","replicas":3}`
	failed := func(f *fixture, _ int64) { f.save(f.claim(), db.PhaseFailed) }
	cancelled := func(f *fixture, id int64) { f.check(f.Cancel(f.t.Context(), id)) }
	for name, k := range map[string]struct {
		wants string
		first bool // the push is there before the scaling
		end   func(f *fixture, push int64)
		owed  bool
		quiet bool // nobody asks for a scaling at first: the config says so for the next release
	}{
		"failed":                      {three, false, failed, true, false},
		"failed, there before":        {three, true, failed, true, false},
		"skipped":                     {three, false, func(f *fixture, _ int64) { f.save(f.claim(), db.PhaseSkipped) }, true, false},
		"cancelled":                   {three, false, cancelled, true, false},
		"cancelled, there before":     {three, true, cancelled, true, false},
		"superseded by a failed one":  {three, false, func(f *fixture, id int64) { f.push("B", "C"); failed(f, id) }, true, false},
		"live":                        {three, false, func(f *fixture, _ int64) { f.onSwarm(f.claim(), 3) }, false, false},
		"failed, of the same number":  {`{"runtime":"swarm","replicas":1}`, false, failed, true, false}, // to be found out at its turn
		"failed, for another runtime": {`{"replicas":3}`, false, failed, false, false},
		"failed, and another one waits": {three, false, func(f *fixture, _ int64) {
			dep := f.claim()
			f.push("B", "C")
			f.save(dep, db.PhaseFailed)
			f.onSwarm(f.claim(), 3)
		}, false, false},
		"cancelled, while another number is on its way": {`{"runtime":"swarm","replicas":1}`, true, func(f *fixture, _ int64) {
			dep := f.claim()
			f.wants(three)
			_, err := f.QueueScale(f.t.Context(), f.workload.ID)
			f.check(err)
			push := f.push("B", "C").Deployments[0]
			f.wants(`{"runtime":"swarm","replicas":1}`)
			f.check(f.Cancel(f.t.Context(), push))
			f.onSwarm(dep, 3)
		}, true, true},
		"failed, and another one waits, that fails": {three, false, func(f *fixture, _ int64) {
			dep := f.claim()
			f.push("B", "C")
			f.save(dep, db.PhaseFailed)
			f.save(f.claim(), db.PhaseFailed)
		}, true, false},
		"failed, of a deleted workload": {three, false, func(f *fixture, _ int64) {
			dep := f.claim()
			f.check(f.DeleteWorkload(f.t.Context(), f.workload.ID, false))
			f.save(dep, db.PhaseFailed)
		}, false, false},
		"failed, but nobody has asked": {three, false, failed, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, f *fixture) {
				f.wants(`{"runtime":"swarm"}`)
				f.push("", "A")
				f.onSwarm(f.claim(), 0)
				f.wants(k.wants)
				var push int64
				if k.first {
					push = f.push("A", "B").Deployments[0]
				}
				if !k.quiet {
					_, err := f.QueueScale(t.Context(), f.workload.ID)
					f.check(err)
				}
				if !k.first {
					push = f.push("A", "B").Deployments[0]
				}
				k.end(f, push)
				dep, err := f.Claim(t.Context(), "next", time.Minute)
				f.check(err)
				if owed := dep != nil && dep.Cause == db.CauseScale; owed != k.owed || !owed && dep != nil {
					t.Fatalf("next is %+v", dep)
				}
				if dep == nil {
					return
				}
				f.save(dep, db.PhaseFailed)
				if again, err := f.Claim(t.Context(), "next", time.Minute); again != nil || err != nil {
					t.Errorf("a scaling that failed is repeated: %+v (%v)", again, err)
				}
			})
		})
	}
}

// What writes to a volume runs once, though its workload has no volume by now, and is scaled by nothing that fails.
func TestNoScalingIsOwedToWhatWrites(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.wants(`{"runtime":"swarm"}`)
		f.push("", "A")
		f.onSwarm(f.claim(), 0, db.Volume{Name: "data", Path: "/data"})
		f.wants(`{"runtime":"swarm","replicas":3}`)
		_, err := f.QueueScale(t.Context(), f.workload.ID)
		f.check(err)
		f.push("A", "B")
		f.save(f.claim(), db.PhaseFailed)
		if dep, err := f.Claim(t.Context(), "next", time.Minute); dep != nil || err != nil {
			t.Errorf("next is %+v (%v)", dep, err)
		}
	})
}

// A scaling that waits deploys no commit: a push of the one that was live when it was asked for still counts.
func TestScaleSwallowsNoPush(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.live("", "A")
		f.push("A", "B")
		f.claim()
		_, err := f.QueueScale(t.Context(), f.workload.ID)
		f.check(err)
		if out := f.push("B", "A"); len(out.Deployments) != 1 {
			t.Errorf("the push back is not deployed: %s", out.Decision)
		}
	})
}

// The release before the live one is another one, however often the live one was scaled.
func TestPreviousOfWhatScaled(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.live("", "A")
		second := f.live("A", "B")
		state, err := f.RuntimeState(t.Context(), f.workload.ID)
		f.check(err)
		for range 2 {
			_, err := f.QueueScale(t.Context(), f.workload.ID)
			f.check(err)
			dep := f.claim()
			release := state.Release
			release.DeploymentID = second.ID
			dep.Release, dep.Phase = &release, db.PhaseReaping
			f.check(f.Commit(t.Context(), dep, db.RuntimeState{WorkloadID: dep.WorkloadID, DeploymentID: dep.ID, ReleaseID: release.ID, Commit: dep.Commit, Release: release}))
			f.save(dep, db.PhaseLive)
		}
		if f.read(second.ID).Phase != db.PhaseRetired {
			t.Fatalf("what was scaled is %s", f.read(second.ID).Phase)
		}
		if id, err := f.Previous(t.Context(), f.workload.ID); err != nil || id != first.ID {
			t.Errorf("the previous one is %d (%v), want %d", id, err, first.ID)
		}
	})
}

// A release that writes to a volume runs once, whatever its workload says by now.
func TestScalesNoWriters(t *testing.T) {
	for volume, want := range map[db.Volume]bool{{Name: "data", Path: "/data"}: false, {Name: "data", Path: "/data", ReadOnly: true}: true} {
		if r := (db.Release{Runtime: "swarm", Volumes: []db.Volume{volume}}); r.Scales() != want {
			t.Errorf("%+v scales: %t", volume, !want)
		}
	}
}
