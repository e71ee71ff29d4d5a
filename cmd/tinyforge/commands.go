package main

import (
	"context"
	"errors"

	"tinyforge/app"
	"tinyforge/app/settings"
)

// apply is the command of that name.
func apply(ctx context.Context, c config, args []string, in invocation) error {
	if len(args) != 1 {
		return errors.New("apply takes one file, or - for standard input: tinyforge apply FILE [--prune]")
	}
	store, err := readyStore(ctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	public, err := settings.NewChoices(store, c.chosen()).PublicURL(ctx)
	if err != nil {
		return err
	}
	options := applyOptions{File: args[0], Prune: c.Prune, PublicURL: public, Check: routeChecks()[c.Router]}
	return applyFile(ctx, store, app.NewForges(store, forgeKinds()), sourceKinds(nil, ""), options, in.out)
}

// runServe is the command serve.
func runServe(ctx context.Context, c config, _ []string, in invocation) error {
	return serve(ctx, c, &guardedLog{out: in.err}, in.out)
}
