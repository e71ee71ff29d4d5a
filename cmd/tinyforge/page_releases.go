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
	if err != nil || in.State == deploy.Missing {
		return settings.Running{}, err
	}
	running := settings.Running{Running: in.State == deploy.Running, Restarts: in.Restarts}
	lines, err := p.runtime.Tail(ctx, id)
	if err != nil {
		return settings.Running{}, err
	}
	if len(lines) == 0 {
		return running, nil
	}
	workload, err := p.db.Workload(ctx, in.WorkloadID)
	if err != nil {
		return settings.Running{}, err
	}
	live, err := p.db.RuntimeState(ctx, in.WorkloadID)
	if err != nil {
		return settings.Running{}, err
	}
	running.Tail = deploy.Redactor(workload.Secrets(), live.Release.Secrets()).Lines(lines)
	return running, nil
}

// Ready implements settings.Releases.
func (p pageReleases) Ready(ctx context.Context, r db.Release) error { return p.runtime.Ready(ctx, r) }
