package webhooks_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/app/forgetest"
	"tinyforge/db"
	"tinyforge/db/migratedtest"
	"tinyforge/webhooks"
)

// TestNoPushIsLost: a forge drops 30 % of its deliveries, sends some twice and mixes their order, while the service is killed
// again and again: before it recorded a delivery, before it answered, and in the middle of a deployment. In the end what is live
// is the head of each branch, and no commit was deployed twice.
func TestNoPushIsLost(t *testing.T) {
	t.Parallel()
	for _, kind := range []forgetest.Kind{forgetest.GitHub, forgetest.Gitea, forgetest.GitLab} {
		for dialect, address := range migratedtest.Databases(t) {
			if kind != forgetest.GitHub && dialect != "sqlite" {
				continue // what differs between forges does not differ between databases
			}
			t.Run(fmt.Sprint(kind, " ", dialect), func(t *testing.T) {
				t.Parallel()
				seed := uint64(time.Now().UnixNano()) //nolint:gosec // any will do
				t.Logf("seed %d", seed)
				w := newWorld(t, address)
				newStorm(w, w.place(kind), seed).run()
			})
		}
	}
}

// storm is what befalls a place. Only run uses random.
type storm struct {
	*place
	random        *rand.Rand
	before, after atomic.Int64             // deliveries in which the service is killed, before they are recorded and after
	follow        map[string][]db.Workload // by branch
	heads         map[string]string
}

func newStorm(w *world, p *place, seed uint64) *storm {
	s := &storm{place: p, random: rand.New(rand.NewPCG(seed, 2)), follow: map[string][]db.Workload{}, heads: map[string]string{}} //nolint:gosec // to be repeated
	s.follow["main"] = []db.Workload{p.workload, w.workload(p.repo, "docs", "main", nil)}
	s.follow["next"] = []db.Workload{w.workload(p.repo, "next", "next", nil)}
	s.follow["release"] = []db.Workload{w.workload(p.repo, "release", "rel*", nil)}
	for branch := range s.follow { // what was there before nobody asked to deploy
		s.heads[branch] = p.push(branch, "before "+branch)
	}
	p.settle()
	w.meanwhile = func() {
		if s.before.Add(-1) >= 0 {
			panic(http.ErrAbortHandler)
		}
	}
	w.afterwards = func(http.ResponseWriter) {
		if s.after.Add(-1) >= 0 {
			panic(http.ErrAbortHandler)
		}
	}
	return s
}

func (s *storm) run() {
	s.w.t.Helper()
	s.forge.Disturb(forgetest.Disturbance{Drop: 0.3, Duplicate: 0.3, Reorder: 0.5, Seed: s.random.Uint64()})
	for life := range 4 {
		ended := s.live(s.random.IntN(8))
		s.before.Store(s.random.Int64N(2))
		s.after.Store(s.random.Int64N(2))
		for n := range 3 {
			branch := []string{"main", "next", "release"}[s.random.IntN(3)]
			s.heads[branch] = s.push(branch, fmt.Sprint("life ", life, " push ", n))
		}
		s.settle()
		ended()
	}
	s.before.Store(0)
	s.after.Store(0)
	ended := s.live(1 << 30) // which is not killed, and the forge is as it should be
	s.forge.Disturb(forgetest.Disturbance{})
	for range 2 { // a redelivery that comes late is a replay
		_, _, err := s.w.handler.LookForMissed(s.w.t.Context(), s.row)
		must(s.w.t, err)
		s.settle()
	}
	ended()
	s.check()
}

// live is a life of the service: it looks for missed pushes at its start, deploys, and is killed when steps steps of deployments
// are done, or else once there is nothing left to do. ended waits for its end.
func (s *storm) live(steps int) (ended func()) {
	w := s.w
	_, err := w.db.BreakLeases(w.t.Context())
	must(w.t, err)
	poller := webhooks.NewPoller(w.handler, slog.New(slog.NewTextHandler(w.log, nil)))
	poller.Pass(w.t.Context())
	stop := make(chan struct{})
	var working sync.WaitGroup
	working.Go(func() {
		queued, cancel := w.db.Subscribe(db.TopicQueued)
		defer cancel()
		for {
			left, err := s.deploy(w.t.Context(), &steps)
			if err != nil {
				w.t.Errorf("deploy: %v", err)
			}
			if steps <= 0 || err != nil {
				return
			}
			if left {
				continue
			}
			select {
			case <-queued:
			case <-stop:
				if left, err = s.deploy(w.t.Context(), &steps); !left || err != nil {
					return
				}
			}
		}
	})
	return func() { close(stop); working.Wait() }
}

// deploy takes one deployment through its phases, unless the steps end in the middle, and its lease stays.
func (s *storm) deploy(ctx context.Context, steps *int) (did bool, err error) {
	const lease = time.Hour
	dep, err := s.w.db.Claim(ctx, "life", lease)
	if dep == nil || err != nil {
		return false, err
	}
	for {
		if *steps--; *steps <= 0 {
			return true, nil
		}
		switch dep.Phase {
		case db.PhaseBuilding:
			dep.Phase = db.PhaseStarting
			err = s.w.db.Save(ctx, dep)
		case db.PhaseStarting:
			dep.Phase = db.PhaseReaping
			err = s.w.db.Commit(ctx, dep, db.RuntimeState{WorkloadID: dep.WorkloadID, DeploymentID: dep.ID, Commit: dep.Commit})
		default:
			dep.Phase = db.PhaseLive
			return true, s.w.db.Save(ctx, dep)
		}
		if err != nil {
			return true, err
		}
	}
}

func (s *storm) check() {
	t := s.w.t
	t.Helper()
	for branch, workloads := range s.follow {
		for _, workload := range workloads {
			state, err := s.w.db.RuntimeState(t.Context(), workload.ID)
			if err != nil || state.Commit != s.heads[branch] {
				t.Errorf("%s: live is %.7s, the head of %s is %.7s, %v", workload.Name, state.Commit, branch, s.heads[branch], err)
			}
			list, err := s.w.db.DeploymentsOf(t.Context(), workload.ID, 1000)
			must(t, err)
			times := map[string]int{}
			for _, dep := range list {
				if !dep.Phase.Final() {
					t.Errorf("%s: deployment %d of %.7s is %s", workload.Name, dep.ID, dep.Commit, dep.Phase)
				}
				if dep.Phase != db.PhaseSuperseded {
					times[dep.Commit]++
				}
			}
			for commit, n := range times {
				if n != 1 {
					t.Errorf("%s: %.7s was deployed %d times", workload.Name, commit, n)
				}
			}
		}
	}
	if t.Failed() {
		all, err := s.w.db.DeliveryViews(t.Context(), db.DeliveryQuery{ForgeID: s.row.ID, Limit: 1000})
		must(t, err)
		for _, d := range all {
			t.Logf("%s %s %s %.7s..%.7s accepted %t: %s", d.Event, d.ExternalID, d.Ref, d.Before, d.After, d.Accepted, d.Decision)
		}
	}
}
