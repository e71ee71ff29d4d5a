package db_test

import (
	"testing"
	"time"

	"tinyforge/db"
)

// TestUnoffered: what nobody does is told as long as nobody could, and not of what somebody has in hands.
func TestUnoffered(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		waits := func(when, want string, own ...string) {
			t.Helper()
			got := ""
			u, err := f.UnofferedWorkload(t.Context(), f.workload.ID, own...)
			f.check(err)
			if u != nil {
				got = u.String()
			}
			if got != want {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}
		const docker = "no running process deploys to docker: start one without --runtimes, or with docker in it"
		f.live("", "A")
		waits("nothing is to be done", "", "swarm")
		f.push("A", "B")
		waits("it is queued", docker, "swarm")
		waits("this one takes it", "", "docker")
		f.process("other", 0)
		waits("the other takes it", "", "swarm")
		waits("for who is no process", "")
		f.silent("other", db.ProcessDead+time.Second)
		waits("the other is dead", docker, "swarm")
		dep := f.claim()
		waits("it is in somebody's hands", "", "swarm")
		f.save(dep, db.PhaseFailed)
		waits("it has ended", "", "swarm")

		w, err := f.Workload(t.Context(), f.workload.ID)
		f.check(err)
		w.Config = []byte(`{"runtime":"swarm"}`)
		f.check(f.ChangeWorkload(t.Context(), &w))
		f.push("B", "C")
		waits("it moves", "no running process deploys to swarm and docker: start one without --runtimes, or with swarm and docker in it", "swarm")
		f.check(f.DeleteWorkload(t.Context(), f.workload.ID, false))
		if list, err := f.UnofferedWorkloads(t.Context(), "docker"); err != nil || len(list) != 1 || list[0].Workload != f.workload.Name {
			t.Errorf("of a deleted one: %+v, %v", list, err)
		}
		waits("it is deleted", "", "docker", "swarm")
	})
}
