package db_test

import (
	"context"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/db/dbtest"
)

// woken waits for a wake-up.
func woken(t *testing.T, wake <-chan struct{}) {
	t.Helper()
	select {
	case <-wake:
	case <-time.After(30 * time.Second):
		t.Fatal("nobody was woken in 30 s")
	}
}

// asleep checks that there is no wake-up; in the same process they are there when the call that makes them returns.
func asleep(t *testing.T, what string, wake <-chan struct{}) {
	t.Helper()
	select {
	case <-wake:
		t.Errorf("woken by %s", what)
	default:
	}
}

func TestWakeUps(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		queued, cancelQueued := f.Subscribe(db.TopicQueued)
		defer cancelQueued()
		phase, cancelPhase := f.Subscribe(db.TopicPhase)
		defer cancelPhase()
		workloads, cancelWorkloads := f.Subscribe(db.TopicWorkloads)
		defer cancelWorkloads()
		expect := func(what string, topics ...<-chan struct{}) {
			t.Helper()
			for _, wake := range topics {
				woken(t, wake)
			}
			for _, wake := range []<-chan struct{}{queued, phase, workloads} {
				asleep(t, what, wake)
			}
		}
		f.queued("", "A")
		expect("push", queued, phase)
		dep := f.claim()
		expect("claim", phase)
		f.check(f.Renew(t.Context(), dep, lease))
		expect("renewal")
		f.save(dep, db.PhaseStarting)
		expect("phase", phase)
		f.check(f.HandOver(t.Context(), dep))
		expect("hand-over", queued)
		dep = f.claim()
		f.commit(dep)
		expect("claim and commit: wake-ups coalesce", phase)
		f.save(dep, db.PhaseLive)
		expect("the end: the next one can be claimed", phase, queued)
		f.push("", "A")
		expect("a push that queues nothing")
		other := f.newWorkload("other")
		expect("workload", workloads)
		f.check(f.DeleteWorkload(t.Context(), other.ID, false))
		expect("deletion", workloads, phase)
		lost := *dep
		lost.LeaseOwner = "nobody"
		if f.Save(t.Context(), &lost) == nil || f.HandOver(t.Context(), &lost) == nil {
			t.Error("saved without a lease")
		}
		expect("a write that was refused")

		second, cancelSecond := f.Subscribe(db.TopicWorkloads)
		f.newWorkload("third")
		expect("workload, for two", workloads, second)
		cancelSecond()
		f.newWorkload("fourth")
		expect("workload, for one again", workloads)
		asleep(t, "a topic that was left", second)
	})
}

// listen runs Listen until the test ends.
func listen(t *testing.T, d *db.DB) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Listen(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("listen: %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Error("Listen did not end in 30 s")
		}
	})
}

func TestListenEnds(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		listen(t, f.DB)
		if f.postgres() {
			until(t, "it listens", func() bool { return len(listeners(f)) == 1 })
		}
	})
}

// listeners are the connections that other processes' wake-ups come over.
func listeners(f *fixture) []int {
	var pids []int
	f.check(f.Bun().NewRaw("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'").
		Scan(f.t.Context(), &pids))
	return pids
}

func TestWakeUpsOfAnotherProcess(t *testing.T) {
	f := newFixture(t, dbtest.Postgres(t))
	other := f.again()
	listen(t, other)
	until(t, "the other process listens", func() bool { return len(listeners(f)) == 1 })
	for topic, event := range map[db.Topic]func(){
		db.TopicQueued:    func() { f.queued("", "A") },
		db.TopicPhase:     func() { f.claim() },
		db.TopicWorkloads: func() { f.newWorkload("other") },
	} {
		t.Run(string(topic), func(t *testing.T) {
			if topic == db.TopicPhase && f.count("deployments", "phase = 'queued'") == 0 {
				f.push("", "B")
			}
			hears(t, f, other, topic)
			wake, cancel := other.Subscribe(topic)
			defer cancel()
			event()
			woken(t, wake)
		})
	}
}

// hears waits until a wake-up of one process reaches the other. That LISTEN was sent does not mean that it took effect.
func hears(t *testing.T, f *fixture, other *db.DB, topic db.Topic) {
	t.Helper()
	wake, cancel := other.Subscribe(topic)
	defer cancel()
	until(t, "the other process hears", func() bool {
		f.exec(`NOTIFY "` + string(topic) + `"`)
		select {
		case <-wake:
			return true
		case <-time.After(100 * time.Millisecond):
			return false
		}
	})
}

func TestListenSurvivesALostConnection(t *testing.T) {
	f := newFixture(t, dbtest.Postgres(t))
	other := f.again()
	listen(t, other)
	until(t, "the other process listens", func() bool { return len(listeners(f)) == 1 })
	hears(t, f, other, db.TopicQueued)
	for range 2 {
		before := listeners(f)
		wake, cancel := other.Subscribe(db.TopicWorkloads)
		f.exec("SELECT pg_terminate_backend(?)", before[0])
		woken(t, wake) // something may have happened while nobody listened
		cancel()
		until(t, "it listens again", func() bool { after := listeners(f); return len(after) == 1 && after[0] != before[0] })
		hears(t, f, other, db.TopicQueued)
		hears(t, f, other, db.TopicWorkloads)
	}
}

// SQLite tells nobody: Listen looks.
func TestWorkloadsChangedByAnotherProcessOnSQLite(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t))
	server := f.again()
	wake, cancel := server.Subscribe(db.TopicWorkloads)
	defer cancel()
	listen(t, server)
	for name, change := range map[string]func(){
		"changed": func() { f.check(f.SaveWorkload(t.Context(), &f.workload)) },
		"deleted": func() { f.check(f.DeleteWorkload(t.Context(), f.workload.ID, false)) },
	} {
		until(t, "the server notices a workload that was "+name, func() bool {
			change()
			select {
			case <-wake:
				return true
			default:
				return false
			}
		})
	}
}

// TestWhatHappenedBeforeListenWakesToo: who reads before anybody listens does not miss what changed in between.
func TestWhatHappenedBeforeListenWakesToo(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		workloads, cancel := f.Subscribe(db.TopicWorkloads)
		defer cancel()
		listen(t, f.DB)
		woken(t, workloads)
	})
}
