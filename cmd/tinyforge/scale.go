package main

import (
	"context"
	"fmt"
	"strconv"

	"tinyforge/app/settings"
)

// scale asks for what is live to run N times, and writes that into the workload's config.
func scale(ctx context.Context, c config, args []string, in invocation) error {
	if len(args) != 2 {
		return fmt.Errorf("%s takes a workload, and how often it is to run: %s", in.name, in.usage())
	}
	replicas, err := strconv.Atoi(args[1])
	if err != nil {
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
	dep, _, err := settings.Scale(ctx, store, pageSources(sourceKinds(nil, "")), w.ID, replicas)
	if err != nil {
		return fmt.Errorf("scale %s: %w", w.Name, err)
	}
	return requested{workload: w, out: in.out}.queued(dep)
}
