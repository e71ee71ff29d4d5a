package app_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/app/forgetest"
	"tinyforge/db"
	"tinyforge/db/migratedtest"
)

// TestEveryStatusEnds: deployments of several workloads go through random phases to random ends, while the forge fails in all
// the ways it can and the reporter is killed, at times right after a forge took a status. In the end the last status of every
// commit is terminal, and is what the rows say.
func TestEveryStatusEnds(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			seed := uint64(time.Now().UnixNano()) //nolint:gosec // any will do
			t.Logf("seed %d", seed)
			d := newDeskOn(t, migratedtest.SQLite(t))
			newStorm(d.place(kind, "site"), seed).run()
		})
	}
}

// storm is what befalls a place. Only run uses random.
type storm struct {
	*place
	random    *rand.Rand
	workloads []db.Workload
	commits   []string
	working   []*db.Deployment
	faults    atomic.Int64 // calls that fail from now on
	fault     atomic.Pointer[forgetest.Fault]
}

func newStorm(p *place, seed uint64) *storm {
	s := &storm{place: p, random: rand.New(rand.NewPCG(seed, 3))} //nolint:gosec // to be repeated
	s.workloads = []db.Workload{p.workload, p.addWorkload("api", `{}`), p.addWorkload("quiet", `{"report_commit_status":false}`)}
	p.forge.Fault(func(r *http.Request) *forgetest.Fault {
		if fault := s.fault.Load(); fault != nil && strings.Contains(r.URL.Path, "/statuses/") && s.faults.Add(-1) >= 0 {
			return fault
		}
		return nil
	})
	return s
}

func (s *storm) run() {
	t := s.d.t
	t.Helper()
	for range 8 {
		s.change()
		s.fault.Store(s.anyFault())
		s.faults.Store(s.random.Int64N(4))
		stop := s.d.report()
		if s.random.IntN(2) == 0 { // it comes to speak of something, or is killed before
			select {
			case <-s.d.told:
			case <-time.After(50 * time.Millisecond): // there may be nothing to say
			}
		}
		stop()
	}
	for len(s.working) > 0 {
		s.end()
	}
	for dep, err := s.d.db.Claim(t.Context(), "test", time.Hour); dep != nil; dep, err = s.d.db.Claim(t.Context(), "test", time.Hour) {
		must(t, err)
		s.working = append(s.working, dep)
		s.end()
	}
	s.fault.Store(nil)
	s.drain()
	s.check()
}

// change does some things to deployments.
func (s *storm) change() {
	t := s.d.t
	t.Helper()
	for range 1 + s.random.IntN(4) {
		switch n := s.random.IntN(10); {
		case n < 4:
			s.commits = append(s.commits, s.commit())
			s.queue(s.commits[len(s.commits)-1], s.workloads[:1+s.random.IntN(len(s.workloads))]...)
		case n < 6:
			dep, err := s.d.db.Claim(t.Context(), "test", time.Hour)
			must(t, err)
			if dep != nil {
				s.working = append(s.working, dep)
			}
		case n < 9 && len(s.working) > 0:
			s.end()
		case len(s.commits) > 0:
			list, err := s.d.db.DeploymentsOf(t.Context(), s.workloads[s.random.IntN(len(s.workloads))].ID, 100)
			must(t, err)
			if len(list) > 0 && list[0].Phase == db.PhaseQueued {
				err := s.d.db.Cancel(t.Context(), list[0].ID)
				must(t, err)
			}
		}
	}
}

// end brings one that is in progress to an end.
func (s *storm) end() {
	s.d.t.Helper()
	i := s.random.IntN(len(s.working))
	dep := s.working[i]
	s.working = slices.Delete(s.working, i, i+1)
	if s.random.IntN(2) == 0 {
		s.d.live(dep)
		return
	}
	s.d.fail(dep, "It broke.")
}

func (s *storm) anyFault() *forgetest.Fault {
	all := []forgetest.Fault{
		{Status: 500}, {Status: 502}, {Status: 409}, {Status: 429, Header: http.Header{"Retry-After": {"600"}}},
		{Status: 503, Header: http.Header{"Retry-After": {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}}},
	}
	return &all[s.random.IntN(len(all))]
}

// drain reports until nothing is due any more, however long the forge asked to wait.
func (s *storm) drain() {
	t := s.d.t
	t.Helper()
	for _, commit := range s.commits {
		s.due(commit)
	}
	stop := s.d.report()
	defer stop()
	limit := time.After(patience)
	for {
		n, err := s.d.db.CountUnreported(t.Context())
		must(t, err)
		if n == 0 {
			return
		}
		select {
		case <-s.d.told:
		case <-time.After(20 * time.Millisecond): // what is written down has no signal
		case <-limit:
			t.Fatalf("%d are due for ever; log:\n%s", n, s.d.log)
		}
	}
}

func (s *storm) check() {
	t := s.d.t
	t.Helper()
	for _, commit := range s.commits {
		list, err := s.d.db.DeploymentsOfCommit(t.Context(), db.CommitKey{RepositoryID: s.repo.ID, Commit: commit})
		must(t, err)
		want := ""
		for _, dep := range list {
			if !dep.Phase.Final() {
				t.Errorf("deployment %d is %s", dep.ID, dep.Phase)
			}
			if dep.WorkloadID == s.workloads[2].ID {
				continue // it does not report
			}
			if want == "" || dep.Status == db.StatusFailure {
				want = string(dep.Status)
			}
		}
		if all := s.forge.Statuses(s.repo.FullName, commit); len(all) == 0 || all[len(all)-1].State != want {
			t.Errorf("%.7s is to be %s: %s", commit, want, fmt.Sprint(all))
		}
	}
}
