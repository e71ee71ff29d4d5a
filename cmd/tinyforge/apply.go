package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"tinyforge/app"
	"tinyforge/db"
	"tinyforge/deploy"
)

// applyOptions say what applyFile does.
type applyOptions struct {
	File      string               // "-" is standard input
	Prune     bool                 // delete what is not in the file
	PublicURL string               // where forges reach this server; "" when it is not configured
	Check     func(db.Route) error // what the configured router says of a route
}

// applyFile makes the forges and the workloads of the database those of a manifest, and prints a line for each. A
// manifest with a fault, or a forge that does not show a repository, changes nothing. Repeating it changes nothing
// either, so that after a failure, which may leave a part undone but nothing half done, it is simply run again. Errors
// name the places in the file and hold no secret.
func applyFile(
	ctx context.Context, store *db.DB, forges *app.Forges, sources map[string]deploy.Source, o applyOptions, out io.Writer,
) error {
	text, err := readManifest(o.File)
	if err != nil {
		return err
	}
	a := &applier{
		store: store, opener: forges, prune: o.Prune, publicURL: strings.TrimRight(o.PublicURL, "/"), check: o.Check, out: out,
	}
	if err := a.load(ctx); err != nil {
		return err
	}
	if err := a.prepare(ctx, text, newReferences(filepath.Dir(o.File)), sources); err != nil {
		return fmt.Errorf("apply %s: nothing was changed:\n%w", manifestName(o.File), err)
	}
	if err := a.run(ctx); err != nil {
		return fmt.Errorf("apply %s: not everything was done; run it again after this is put right:\n%w", manifestName(o.File), err)
	}
	return a.sayNext(ctx)
}

// sayNext tells what is still to be done for what was applied to run: apply deploys nothing.
func (a *applier) sayNext(ctx context.Context) error {
	for _, w := range a.workloads {
		if !w.row.Enabled {
			continue
		}
		id := w.row.ID
		if w.saved != nil {
			id = w.saved.ID
		}
		some, err := a.store.DeploymentsOf(ctx, id, 1)
		switch {
		case err != nil:
			return err
		case len(some) == 0:
			fmt.Fprintf(a.out, "%s: not deployed yet: push to %s, or press Deploy now on its page\n", w.row.Name, w.repository.row.FullName)
		case w.runsOtherwise():
			fmt.Fprintf(a.out, "%s: what changed takes effect with the next deployment\n", w.row.Name)
		}
	}
	return nil
}

// prepare finds all that is wrong before anything is written.
func (a *applier) prepare(ctx context.Context, text []byte, refs references, sources map[string]deploy.Source) error {
	r := &manifestReader{references: refs, sources: sources, known: sortedKeys(a.savedForges), prune: a.prune}
	a.plan(r.read(text))
	if err := append(r.faults, a.faults...).err(); err != nil {
		return err
	}
	for _, w := range r.warnings {
		fmt.Fprintf(a.out, "warning: %v\n", w)
	}
	return a.lookup(ctx)
}

func readManifest(file string) (text []byte, err error) {
	if file == "-" {
		text, err = io.ReadAll(io.LimitReader(os.Stdin, maxManifest+1))
	} else {
		text, err = readAtMost(file, maxManifest)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", manifestName(file), err)
	}
	return text, nil
}

func manifestName(file string) string {
	if file == "-" {
		return "standard input"
	}
	return file
}
