package main

import (
	"context"
	"fmt"
	"strconv"

	"tinyforge/app/settings"
	"tinyforge/db"
)

// scale asks for what is live to run N times, and writes that into the workload's config.
func scale(ctx context.Context, c config, args []string, in invocation) error {
	if len(args) != 2 {
		return fmt.Errorf("%s takes a workload, and how often it is to run: %s", in.name, in.usage())
	}
	replicas, err := strconv.Atoi(args[1])
	if err != nil || replicas < 0 {
		return fmt.Errorf("%q is not how often something can run: write a whole number, as in tinyforge %s", args[1], in.example)
	}
	store, err := existingStore(ctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	w, err := namedWorkload(ctx, store, args[0])
	if err != nil {
		return err
	}
	if err := settings.CheckReplicas(w, replicas, c.MaxReplicas); err != nil && !c.Force {
		return fmt.Errorf("scale %s: %w; --force does it all the same", w.Name, err)
	}
	before, err := store.DeploymentsOf(ctx, w.ID, 1)
	if err != nil {
		return err
	}
	dep, _, err := settings.Scale(ctx, store, pageSources(sourceKinds(nil, "")), w.ID, replicas)
	if err != nil {
		return fmt.Errorf("scale %s: %w", w.Name, err)
	}
	live, err := store.RuntimeState(ctx, w.ID)
	if err != nil {
		return err
	}
	waited := ""
	if len(before) > 0 && before[0].Phase == db.PhaseQueued && before[0].Scales && w.Replicas() != replicas {
		waited = fmt.Sprintf(", in place of the %d that waited", w.Replicas())
	}
	queued := "queued"
	if dep.Cause != db.CauseScale {
		queued = fmt.Sprintf("waits, a %s that takes it along", dep.Cause)
	}
	fmt.Fprintf(in.out, "deployment %d %s: scale of %s from %d to %d%s\n", dep.ID, queued, w.Name, max(1, live.Release.Replicas), replicas, waited)
	return nil
}
