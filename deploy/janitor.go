package deploy

import (
	"context"
	"errors"
	"time"

	"tinyforge/db"
)

// Janitor removes the images that nobody can go back to any more, and the logs of long ago. It never touches what serves,
// what is being deployed, what a container uses, or the last good releases of a workload.
type Janitor struct{ *Deployer }

// NewJanitor makes a janitor.
func NewJanitor(d *Deployer) *Janitor {
	d.Config = d.Config.withDefaults()
	return &Janitor{d}
}

// Run tidies up some seconds after a deployment has moved, and every hour, until ctx is done.
func (j *Janitor) Run(ctx context.Context) error {
	wake, cancel := j.DB.Subscribe(db.TopicPhase)
	defer cancel()
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	due := time.After(j.Config.Tidy)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
			if due == nil {
				due = time.After(j.Config.Tidy)
			}
			continue
		case <-due:
			due = nil
		case <-tick.C:
		}
		if err := j.Pass(ctx); err != nil && ctx.Err() == nil {
			j.Log.WarnContext(ctx, "tidy up", "error", err)
		}
	}
}

// Pass tidies up once.
func (j *Janitor) Pass(ctx context.Context) error {
	limits, err := j.limits(ctx)
	if err != nil {
		return err
	}
	images := j.tidy(ctx)
	lines, logs := j.DB.PruneLogs(ctx, time.Now().Add(-limits.KeepLogs))
	if lines > 0 {
		j.Log.InfoContext(ctx, "removed old log lines", "lines", lines)
	}
	return errors.Join(images, logs, j.DB.PruneAudit(ctx))
}

// tidy removes old images.
func (d *Deployer) tidy(ctx context.Context) error {
	if err := d.known(); err != nil {
		return err
	}
	removed, err := d.Images.PruneImages(ctx, d.kept)
	for _, image := range removed {
		d.Log.InfoContext(ctx, "removed an image that nobody can go back to", "image", image)
	}
	return err
}

// kept reads what must stay. What is pulled while it reads stays too.
func (d *Deployer) kept(ctx context.Context) (Kept, error) {
	kept := Kept{Since: time.Now()}
	limits, err := d.limits(ctx)
	if err != nil {
		return kept, err
	}
	r, err := d.DB.Retention(ctx, limits.KeepReleases)
	if err != nil {
		return kept, err
	}
	for _, release := range r.Kept {
		kept.Images = append(kept.Images, release.AllImages()...)
		kept.Releases = append(kept.Releases, release.ID)
	}
	for _, dep := range r.Unfinished {
		workload, err := d.DB.Workload(ctx, dep.WorkloadID)
		if errors.Is(err, db.ErrNotFound) {
			continue // it has just ended, and its workload with it
		}
		if err != nil {
			return kept, err
		}
		kept.Begun = append(kept.Begun, BuildGreenName(workload.Name, dep.ID))
		if begun := dep.StartedAt; dep.Release == nil && !begun.IsZero() && begun.Before(kept.Since) {
			kept.Since = begun
		}
	}
	kept.Releases = append(kept.Releases, kept.Begun...)
	return kept, nil
}
