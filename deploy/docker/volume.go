package docker

import (
	"context"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/volume"

	"tinyforge/db"
	"tinyforge/deploy"
)

// volumeName is "tf-<workload>-<volume>".
func volumeName(r db.Release, v db.Volume) string { return "tf-" + r.Workload + "-" + v.Name }

// RemoveVolumes implements deploy.Runtime. One that the operator made by hand is kept; one that a container uses is an error.
func (e *Engine) RemoveVolumes(ctx context.Context, workload string) error {
	found, err := e.docker.VolumeList(ctx, volume.ListOptions{Filters: filters.NewArgs(filters.Arg("label", labelInstance+"="+e.cfg.Instance))})
	if err != nil {
		return e.explain("list volumes of "+workload, err)
	}
	for _, v := range found.Volumes {
		if !strings.HasPrefix(v.Labels[labelVolume], workload+"/") {
			continue
		}
		if err := e.docker.VolumeRemove(ctx, v.Name, false); err != nil && !errdefs.IsNotFound(err) {
			return e.explain("remove volume "+v.Name, err)
		}
	}
	return nil
}

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
