package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"tinyforge/app"
	"tinyforge/app/settings"
	"tinyforge/db"
	"tinyforge/deploy/source"
)

// pageCode lets the pages look into repositories.
type pageCode struct {
	forges *app.Forges
	folder string // for checkouts; it exists
}

// Heads implements settings.Code.
func (c pageCode) Heads(ctx context.Context, repo db.Repository) (map[string]string, error) {
	forge, err := c.forges.Open(ctx, repo.ForgeID)
	if err != nil {
		return nil, err
	}
	heads, err := forge.Heads(ctx, repo)
	if err != nil {
		return nil, pageError(ctx, err)
	}
	return heads, nil
}

// Detect implements settings.Code. The checkout is gone when it returns.
func (c pageCode) Detect(ctx context.Context, repo db.Repository, commit string) (all []settings.Found, err error) {
	dir, err := os.MkdirTemp(c.folder, "detect-")
	if err != nil {
		return nil, fmt.Errorf("make checkout: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if _, err := c.forges.Fetch(ctx, repo, commit, dir); err != nil {
		return nil, pageError(ctx, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open checkout: %w", err)
	}
	defer root.Close()
	found, err := source.Detect(root.FS())
	for _, f := range found {
		all = append(all, settings.Found(f))
	}
	return all, err
}

// pageError says in words what a forge answered.
func pageError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("the forge did not answer in time")
	}
	return errors.New(forgeText(err))
}
