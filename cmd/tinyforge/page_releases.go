package main

import (
	"context"

	"tinyforge/app/settings"
	"tinyforge/db"
	"tinyforge/deploy"
)

// pageReleases lets the pages ask how releases are.
type pageReleases struct{ runtime deploy.Runtime }

// Inspect implements settings.Releases.
func (p pageReleases) Inspect(ctx context.Context, id db.ReleaseID) (settings.Running, error) {
	in, err := p.runtime.Inspect(ctx, id)
	return settings.Running{Running: in.State == deploy.Running, Restarts: in.Restarts, Tail: in.Tail}, err
}

// Ready implements settings.Releases.
func (p pageReleases) Ready(ctx context.Context, r db.Release) error { return p.runtime.Ready(ctx, r) }
