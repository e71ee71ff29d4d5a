package deploytest

import (
	"fmt"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
)

// ExerciseRights is the suite of every deploy.Runtime that heeds what a release says of its rights and limits; those of a
// stack are in its project. A release that may do or have something else is replaced, and one in which nothing changed is
// not. release is as for ExerciseRuntime.
func ExerciseRights(t *testing.T, rt deploy.Runtime, release func(t *testing.T) db.Release) {
	s := &runtimeSuite{rt, release}
	r := s.sample(t, nil)
	r.User, r.ReadOnly, r.Tmpfs = "1000:1000", true, []string{"/tmp:1048576"}
	r.Memory, r.CPUs, r.LogSize, r.LogFiles = 64<<20, 0.5, 1<<20, 2
	s.begun(t, r, 1)
	for _, step := range []struct {
		what   string
		change func()
	}{
		{"no capabilities instead of the usual ones", func() { r.Capabilities = []string{} }},
		{"one capability", func() { r.Capabilities = []string{"NET_BIND_SERVICE"} }},
		{"a shared network", func() { r.Networks = []string{"back"} }},
		{"another user", func() { r.User = "1001" }},
		{"a root that can be written to", func() { r.ReadOnly = false }},
		{"more room in memory", func() { r.Tmpfs = []string{"/tmp:2097152"} }},
		{"a longer log", func() { r.LogFiles = 3 }},
	} {
		t.Run(step.what, func(t *testing.T) {
			ok(t, s.rt.Stop(t.Context(), r.ID))
			s.begun(t, r, 2)
			step.change()
			s.begun(t, r, 1)
		})
	}
	if n := s.listed(t, r.ID); len(n) != 1 || n[0].State != deploy.Running {
		t.Errorf("after all there are %+v", n)
	}
}

// begun starts a release and asks how often the program has begun since the release was made.
func (s *runtimeSuite) begun(t *testing.T, r db.Release, times int) {
	t.Helper()
	s.serves(t, s.mustStart(t, r).Upstream, "one")
	poll(t, func() (string, bool) {
		n := 0
		for _, line := range s.tail(t, r.ID) {
			if containing("listening")(line) {
				n++
			}
		}
		return fmt.Sprintf("it has begun %d times", n), n == times
	})
}
