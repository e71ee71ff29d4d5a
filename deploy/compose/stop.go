package compose

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/docker/compose/v5/pkg/api"
	"github.com/moby/moby/client"

	"tinyforge/db"
)

// Stop implements deploy.Runtime. The stack of a release that does not own it is left alone.
func (r *Runtime) Stop(ctx context.Context, id db.ReleaseID) error {
	if err := r.inner.Stop(ctx, id); err != nil {
		return err
	}
	return r.explain("stop stack "+string(id), r.change(ctx, id, func(project string) error {
		return r.compose.Stop(ctx, project, api.StopOptions{})
	}))
}

// Remove implements deploy.Runtime. The stack of a release that does not own it, or no more, is left alone: it is another
// release's. Anonymous volumes are kept too.
func (r *Runtime) Remove(ctx context.Context, id db.ReleaseID) error {
	if err := r.inner.Remove(ctx, id); err != nil {
		return err
	}
	return r.explain("remove stack "+string(id), r.change(ctx, id, func(project string) error {
		return r.compose.Down(ctx, project, api.DownOptions{RemoveOrphans: true})
	}))
}

// change does something to the project of a release that owns it.
func (r *Runtime) change(ctx context.Context, id db.ReleaseID, do func(project string) error) error {
	project := projectOf(id)
	unlock, err := r.locks.lock(ctx, project)
	if err != nil {
		return err
	}
	defer unlock()
	s, err := r.stack(ctx, project)
	if err != nil || s.owner() != id {
		return err
	}
	if err := r.foreign(ctx, project); err != nil {
		return err
	}
	return errors.Join(do(project), ctx.Err())
}

// RemoveVolumes implements deploy.Runtime, for stacks and all else.
func (r *Runtime) RemoveVolumes(ctx context.Context, workload string) error {
	if err := r.inner.RemoveVolumes(ctx, workload); err != nil {
		return err
	}
	filters := client.Filters{}.Add("label", labelInstance+"="+r.cfg.Instance, api.ProjectLabel+"="+projectName(workload))
	found, err := r.docker.VolumeList(ctx, client.VolumeListOptions{Filters: filters})
	if err != nil {
		return r.explain("list volumes of "+workload, err)
	}
	for _, v := range found.Items {
		_, err := r.docker.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{})
		if err != nil && !errdefs.IsNotFound(err) {
			return r.explain(fmt.Sprintf("remove volume %s", v.Name), err)
		}
	}
	return nil
}
