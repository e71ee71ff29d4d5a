package docker

import (
	"context"
	"fmt"

	"github.com/docker/docker/api/types/volume"

	"tinyforge/db"
	"tinyforge/deploy"
)

// volumeName is "tf-<workload>-<volume>".
func volumeName(r db.Release, v db.Volume) string { return "tf-" + r.Workload + "-" + v.Name }

// ensureVolumes makes the volumes of a release. A volume that the operator made by hand is used; one that belongs to
// another Tinyforge, or to another workload whose names happen to join to the same, is a *deploy.Failure.
func (e *Engine) ensureVolumes(ctx context.Context, r db.Release) error {
	for _, v := range r.Volumes {
		name, owner := volumeName(r, v), r.Workload+"/"+v.Name
		got, err := e.docker.VolumeCreate(ctx, volume.CreateOptions{
			Name:   name,
			Labels: map[string]string{labelInstance: e.cfg.Instance, labelVolume: owner},
		})
		if err != nil {
			return err
		}
		if instance := got.Labels[labelInstance]; instance != "" && instance != e.cfg.Instance {
			return &deploy.Failure{Text: fmt.Sprintf("Volume %s belongs to another Tinyforge (%s): rename the workload or the volume", name, instance)}
		}
		if other := got.Labels[labelVolume]; other != "" && other != owner {
			return &deploy.Failure{Text: fmt.Sprintf("Volume %s belongs to %s already: rename the workload or the volume", name, other)}
		}
	}
	return nil
}
