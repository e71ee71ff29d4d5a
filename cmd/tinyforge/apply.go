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
	File      string // "-" is standard input
	Prune     bool   // delete what is not in the file
	PublicURL string // where forges reach this server; "" when it is not configured
}

// applyFile makes the forges and the workloads of the database those of a manifest, and prints a line for each. A
// manifest with a fault changes nothing. Repeating it changes nothing either, so that after a failure, which may leave a
// part undone but nothing half done, it is simply run again. Errors name the places in the file and hold no secret.
func applyFile(
	ctx context.Context, store *db.DB, forges *app.Forges, sources map[string]deploy.Source, o applyOptions, out io.Writer,
) error {
	text, err := readManifest(o.File)
	if err != nil {
		return err
	}
	a := &applier{store: store, opener: forges, prune: o.Prune, publicURL: strings.TrimRight(o.PublicURL, "/"), out: out}
	if err := a.load(ctx); err != nil {
		return err
	}
	r := &manifestReader{references: newReferences(filepath.Dir(o.File)), sources: sources, known: sortedKeys(a.savedForges), prune: o.Prune}
	a.plan(r.read(text))
	r.faults = append(r.faults, a.faults...)
	if err := r.faults.err(); err != nil {
		return fmt.Errorf("apply %s: nothing was changed:\n%w", manifestName(o.File), err)
	}
	if err := a.run(ctx); err != nil {
		return fmt.Errorf("apply %s: not everything was done; run it again after this is put right:\n%w", manifestName(o.File), err)
	}
	return nil
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
