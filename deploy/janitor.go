package deploy

import (
	"context"
	"time"

	"tinyforge/db"
)

// Janitor removes the images that nobody can go back to any more. It never touches what serves, what is being deployed,
// what a container uses, or the last good releases of a workload.
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
			j.Log.WarnContext(ctx, "remove old images", "error", err)
		}
	}
}

// Pass tidies up once.
func (j *Janitor) Pass(ctx context.Context) error { return j.tidy(ctx) }

// tidy removes old images.
func (d *Deployer) tidy(ctx context.Context) error {
	removed, err := d.Images.PruneImages(ctx, d.kept)
	for _, image := range removed {
		d.Log.InfoContext(ctx, "removed an image that nobody can go back to", "image", image)
	}
	return err
}

// kept reads what must stay. The image of an unfinished deployment is known by the name of the release to be.
func (d *Deployer) kept(ctx context.Context) (Kept, error) {
	var kept Kept
	r, err := d.DB.Retention(ctx, d.Config.KeepReleases)
	if err != nil {
		return kept, err
	}
	for _, release := range r.Kept {
		kept.Images = append(kept.Images, release.AllImages()...)
		kept.Releases = append(kept.Releases, release.ID)
	}
	for _, dep := range r.Unfinished {
		workload, err := d.DB.Workload(ctx, dep.WorkloadID)
		if err != nil {
			return kept, err
		}
		kept.Releases = append(kept.Releases, BuildGreenName(workload.Name, dep.ID))
	}
	for _, release := range r.Old {
		kept.Old = append(kept.Old, release.AllImages()...)
	}
	return kept, nil
}
