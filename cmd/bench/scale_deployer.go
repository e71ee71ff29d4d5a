package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

// measureClaims claims some of what is queued, and gives it back.
func (t *city) measureClaims(ctx context.Context, _ *stage, w *scaleWorks) error {
	return t.with(ctx, func(ctx context.Context, store *db.DB) error {
		if _, err := store.BreakLeases(ctx); err != nil { // of serve, which was killed
			return err
		}
		queued, _, err := store.CountUnfinished(ctx)
		if err != nil {
			return err
		}
		var took []float64
		var claimed []*db.Deployment
		for range min(50, queued/2) {
			begun := time.Now()
			dep, err := claim(ctx, store)
			if err == nil && dep == nil {
				err = errors.New("nothing could be claimed")
			}
			if err != nil {
				return err
			}
			took, claimed = append(took, milliseconds(time.Since(begun))), append(claimed, dep)
		}
		for _, dep := range claimed {
			if err := store.HandOver(ctx, dep); err != nil {
				return err
			}
		}
		w.pushes.add(t.who(), "queue", "number", float64(queued))
		w.pushes.add(t.who(), "claim", "ms", percentile(took, 50))
		w.pushes.add(t.who(), "claim p95", "ms", percentile(took, 95))
		return nil
	})
}

// measureDeployer works off what is queued, and then lets recovery and janitor look at all once.
func (t *city) measureDeployer(ctx context.Context, s *stage, w *scaleWorks) error {
	p, err := t.startProxy(ctx, s)
	if err != nil {
		return err
	}
	defer p.stop()
	b, err := startBackend(ctx, "", 1, nil)
	if err != nil {
		return err
	}
	defer b.kill()
	if err := t.measureRoutes(ctx, p, w.deployments); err != nil {
		return err
	}
	runtime := &freeRuntime{address: b.address, all: map[db.ReleaseID]deploy.Instance{}}
	return t.with(ctx, func(ctx context.Context, store *db.DB) error {
		states, err := store.RuntimeStates(ctx)
		if err != nil {
			return err
		}
		for _, state := range states {
			runtime.runsAt(state.ReleaseID, state.WorkloadID, state.DeploymentID, t.engine.address(string(state.ReleaseID)))
		}
		d := &deploy.Deployer{DB: store, Sources: map[string]deploy.Source{"dockerfile": runtime}, Runtime: runtime, Images: runtime, Router: p.client,
			Fetcher: runtime, Log: slog.New(slog.DiscardHandler), Config: deploy.Config{Workers: scaleWorkers, Workspace: s.dir}}
		if err := t.workOff(ctx, d, w.deployments); err != nil {
			return err
		}
		return t.measureUpkeep(ctx, d, w.upkeep)
	})
}

// measureRoutes moves routes that are spread over all, there and back.
func (t *city) measureRoutes(ctx context.Context, p *proxied, w *work) error {
	var took []float64
	for i := range swapsOfRound {
		n := i * (t.size / swapsOfRound) % t.size
		live := t.lives[n]
		begun := time.Now()
		if err := p.client.Upsert(ctx, route(hostOf(n)), at("swapped", live.Addr)); err != nil {
			return err
		}
		took = append(took, milliseconds(time.Since(begun)))
		if err := p.client.Upsert(ctx, route(hostOf(n)), live); err != nil {
			return err
		}
	}
	w.add(t.who(), "swap", "ms", percentile(took, 50))
	return nil
}

// workOff lets the deployer run until nothing is queued any more.
func (t *city) workOff(ctx context.Context, d *deploy.Deployer, w *work) error {
	before, err := t.ended(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	begun := time.Now()
	go func() { done <- deploy.NewRunner(d, "bench").Run(running) }()
	err = untilIdle(ctx, d.DB)
	took := time.Since(begun)
	stop()
	if err := errors.Join(err, <-done); err != nil {
		return err
	}
	after, err := t.ended(ctx)
	if err != nil {
		return err
	}
	good := after.deployed - before.deployed
	w.add(t.who(), "live", "1/s", float64(good)/took.Seconds())
	w.add(t.who(), "deployed", "number", float64(good))
	w.add(t.who(), "lost", "number", float64(t.pushed-after.deployed-after.superseded-after.failed))
	return t.addPhases(ctx, w, good)
}

// untilIdle waits until nothing is queued and nothing in progress.
func untilIdle(ctx context.Context, store *db.DB) error {
	woken, cancel := store.Subscribe(db.TopicPhase)
	defer cancel()
	for {
		queued, working, err := store.CountUnfinished(ctx)
		if err != nil || queued+working == 0 {
			return err
		}
		if err := deploy.Sleep(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("%d deployments wait, %d are in progress: %w", queued, working, err)
		}
		select {
		case <-ctx.Done():
		case <-woken:
		}
	}
}

// endings is what became of the pushes.
type endings struct{ deployed, superseded, failed int }

// ended counts them by the deliveries that were answered.
func (t *city) ended(ctx context.Context) (e endings, err error) {
	err = t.raw.NewSelect().TableExpr("deployments AS d").
		ColumnExpr("COALESCE(sum(CASE WHEN d.phase IN ('live', 'retired') THEN 1 ELSE 0 END), 0) AS deployed").
		ColumnExpr("COALESCE(sum(CASE WHEN d.phase = 'superseded' THEN 1 ELSE 0 END), 0) AS superseded").
		ColumnExpr("COALESCE(sum(CASE WHEN d.phase = 'failed' THEN 1 ELSE 0 END), 0) AS failed"). // in serve, whose forge holds a commit back
		Where("d.delivery_id IN (SELECT id FROM deliveries WHERE external_id NOT LIKE 'past-%')").Scan(ctx, &e.deployed, &e.superseded, &e.failed)
	return e, err
}

// addPhases adds how long the last ones were in each phase.
func (t *city) addPhases(ctx context.Context, w *work, last int) error {
	return t.with(ctx, func(ctx context.Context, store *db.DB) error {
		states, err := store.RuntimeStates(ctx)
		if err != nil {
			return err
		}
		spent := map[db.Phase][]float64{}
		var whole []float64
		for _, state := range newestStates(states, min(last, 500)) {
			dep, err := store.Deployment(ctx, state.DeploymentID)
			if err != nil {
				return err
			}
			for i := range len(dep.Entered) - 1 {
				spent[dep.Entered[i].Phase] = append(spent[dep.Entered[i].Phase], milliseconds(dep.Entered[i+1].At.Sub(dep.Entered[i].At)))
			}
			whole = append(whole, milliseconds(dep.FinishedAt.Sub(dep.StartedAt)))
		}
		w.add(t.who(), "claim to live", "ms", percentile(whole, 50))
		for _, phase := range []db.Phase{db.PhaseBuilding, db.PhaseGating, db.PhaseRouting, db.PhaseCommitting, db.PhaseDraining, db.PhaseReaping} {
			w.add(t.who(), string(phase), "ms", percentile(spent[phase], 50))
		}
		return nil
	})
}

// newestStates are those of the last deployments.
func newestStates(states []db.RuntimeState, most int) []db.RuntimeState {
	slices.SortFunc(states, func(a, b db.RuntimeState) int { return cmp.Compare(b.DeploymentID, a.DeploymentID) })
	return states[:min(len(states), most)]
}

// measureUpkeep lets recovery and janitor look at all once.
func (t *city) measureUpkeep(ctx context.Context, d *deploy.Deployer, w *work) error {
	passes := []struct {
		name string
		pass func(context.Context) error
	}{{"reconcile", deploy.NewRecovery(d).Pass}, {"tidy", deploy.NewJanitor(d).Pass}}
	for _, p := range passes {
		begun := time.Now()
		if err := p.pass(ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		took := time.Since(begun)
		t.note("%s: %s", p.name, took.Round(time.Millisecond))
		w.add(t.who(), p.name, "ms", milliseconds(took))
	}
	return nil
}
