package docker

import (
	"context"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"tinyforge/db"
)

// Stop implements deploy.Runtime: SIGTERM, or what the image asks for, then SIGKILL after the stop time-out. The container
// stays stopped, over restarts of the engine too. A container of that name that is not ours is left alone.
func (e *Engine) Stop(ctx context.Context, id db.ReleaseID) error {
	c, err := e.ours(ctx, id)
	if err == nil && c != nil {
		err = e.stop(ctx, c.ID)
	}
	return e.explain("stop release "+string(id), err)
}

// Remove implements deploy.Runtime. It stops the container as Stop does, and removes it with its anonymous volumes. One
// that is not ours is left alone, and so is one that somebody renamed.
func (e *Engine) Remove(ctx context.Context, id db.ReleaseID) error {
	c, err := e.named(ctx, id)
	if err == nil && c != nil {
		err = e.end(ctx, c.ID) // by Docker's id: the name may be another container's by now
	}
	return e.explain("remove release "+string(id), err)
}

func (e *Engine) stop(ctx context.Context, id string) error {
	seconds := int(e.cfg.StopTimeout / time.Second)
	err := e.docker.ContainerStop(ctx, id, container.StopOptions{Timeout: &seconds})
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// end stops and removes a container. When it returns without an error the container is gone, whoever removed it.
func (e *Engine) end(ctx context.Context, id string) error {
	if err := e.stop(ctx, id); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	gone, failed := e.docker.ContainerWait(ctx, id, container.WaitConditionRemoved)
	err := e.docker.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	switch {
	case err == nil, errdefs.IsNotFound(err):
		return nil
	case !errdefs.IsConflict(err): // a conflict: somebody else is removing it
		return err
	}
	select {
	case <-gone:
		return nil
	case err := <-failed:
		if errdefs.IsNotFound(err) {
			return nil
		}
		return err
	}
}
