package main

import (
	"context"

	"tinyforge/app/settings"
	"tinyforge/db"
	"tinyforge/deploy"
)

// pageReleases lets the pages ask how releases are.
type pageReleases struct {
	db      *db.DB
	runtime deploy.Runtime
}

// Inspect implements settings.Releases.
func (p pageReleases) Inspect(ctx context.Context, id db.ReleaseID) (settings.Running, error) {
	in, err := p.runtime.Inspect(ctx, id)
	if err != nil || len(in.Tail) == 0 {
		return settings.Running{Running: in.State == deploy.Running, Restarts: in.Restarts}, err
	}
	workload, err := p.db.Workload(ctx, in.WorkloadID)
	if err != nil {
		return settings.Running{}, err
	}
	live, err := p.db.RuntimeState(ctx, in.WorkloadID)
	if err != nil {
		return settings.Running{}, err
	}
	tail := deploy.Redactor(workload.Secrets(), live.Release.Secrets()).Lines(in.Tail)
	return settings.Running{Running: in.State == deploy.Running, Restarts: in.Restarts, Tail: tail}, nil
}

// Ready implements settings.Releases.
func (p pageReleases) Ready(ctx context.Context, r db.Release) error { return p.runtime.Ready(ctx, r) }
