package main

import (
	"context"
	"errors"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

// pageProber lets the pages ask what runs.
type pageProber struct {
	store   *db.DB
	runtime deploy.Runtime
}

// Probe implements settings.Prober.
func (p pageProber) Probe(ctx context.Context, w db.Workload, path string) (status int, took time.Duration, err error) {
	live, err := p.store.RuntimeState(ctx, w.ID)
	if errors.Is(err, db.ErrNotFound) {
		return 0, 0, errors.New("nothing is live yet")
	}
	if err != nil {
		return 0, 0, err
	}
	instance, err := p.runtime.Inspect(ctx, live.ReleaseID)
	switch {
	case err != nil:
		return 0, 0, errors.New("Docker does not answer")
	case instance.State != deploy.Running || instance.Upstream.Addr == "":
		return 0, 0, errors.New("the release is not running")
	}
	begun := time.Now()
	status, err = deploy.Probe(ctx, instance.Upstream, w.Host, path, 5*time.Second)
	return status, time.Since(begun), err
}
