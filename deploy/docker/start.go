package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"tinyforge/db"
	"tinyforge/deploy"
)

// errAgain says that somebody else changed a container while we looked at it.
var errAgain = errors.New("the container is being changed by somebody else")

// Start implements deploy.Runtime. A container of this release that was made from another config is replaced; one of the
// same name that is not ours is left alone and is a *deploy.Failure.
func (e *Engine) Start(ctx context.Context, r db.Release) (deploy.Instance, error) {
	err := checkRelease(r)
	if err == nil {
		err = e.ensureNetwork(ctx, e.cfg.Network)
	}
	if err == nil {
		err = e.converge(ctx, r)
	}
	if err != nil {
		return deploy.Instance{}, e.explain("start release "+string(r.ID), err)
	}
	c, err := e.ours(ctx, r.ID)
	if err != nil {
		return deploy.Instance{}, e.explain("start release "+string(r.ID), err)
	}
	return e.instance(r.ID, c), nil
}

// converge steps until the container runs, or a step fails for good.
func (e *Engine) converge(ctx context.Context, r db.Release) error {
	_, err := retried(ctx, func() (struct{}, error) { return struct{}{}, e.step(ctx, r) })
	return err
}

// retried repeats a change for as long as somebody else changes the same at the same time.
func retried[T any](ctx context.Context, change func() (T, error)) (T, error) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 20*time.Millisecond, time.Second
	return backoff.Retry(ctx, func() (T, error) {
		value, err := change()
		if err != nil && !errors.Is(err, errAgain) {
			err = backoff.Permanent(err)
		}
		return value, err
	}, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(30*time.Second))
}

// step brings what is there to running, or returns errAgain when it has to look again.
func (e *Engine) step(ctx context.Context, r db.Release) error {
	c, err := e.docker.ContainerInspect(ctx, string(r.ID))
	switch {
	case errdefs.IsNotFound(err):
		id, err := e.create(ctx, r)
		if err != nil {
			return err
		}
		return e.run(ctx, id, r)
	case err != nil:
		return err
	case !e.owns(r.ID, c.Config.Labels, c.Name):
		return &deploy.Failure{Text: fmt.Sprintf("A container named %s exists and is not ours: remove it or rename it, then deploy again", r.ID)}
	case c.State.Status == container.StateRemoving:
		return errAgain
	case c.State.Status == container.StateDead, c.Config.Labels[labelConfig] != e.configHash(r):
		return e.replace(ctx, c.ID, r)
	case c.State.Paused:
		return again(e.docker.ContainerUnpause(ctx, c.ID), errAgain)
	case c.State.Running: // or in the pause before Docker restarts it
		return again(e.join(ctx, c.ID, r), nil)
	}
	return e.run(ctx, c.ID, r)
}

func (e *Engine) replace(ctx context.Context, id string, r db.Release) error {
	if err := e.end(ctx, id); err != nil {
		return err
	}
	newID, err := e.create(ctx, r)
	if err != nil {
		return err
	}
	return e.run(ctx, newID, r)
}

func (e *Engine) create(ctx context.Context, r db.Release) (id string, err error) {
	if err := e.ensureVolumes(ctx, r); err != nil {
		return "", err
	}
	config, host, net := e.spec(r)
	created, err := e.docker.ContainerCreate(ctx, config, host, net, platform(r.Platform), string(r.ID))
	for _, w := range created.Warnings {
		e.cfg.Log.WarnContext(ctx, "docker warns about a container", "release", r.ID, "warning", w)
	}
	switch {
	case err == nil:
		return created.ID, nil
	case errdefs.IsConflict(err):
		return "", errAgain
	case errdefs.IsNotFound(err) && strings.Contains(strings.ToLower(err.Error()), "no such image"):
		return "", &deploy.Failure{Text: fmt.Sprintf("The image of release %s is gone from Docker: deploy again to make it anew", r.ID), Err: err}
	case errdefs.IsInvalidArgument(err):
		return "", &deploy.Failure{Text: "Docker refuses the container: " + daemonText(err), Err: err}
	}
	return "", err
}

// run starts a container that exists. One that can never start is removed, to be made anew: for want of its network, which
// somebody removed while it was stopped, since Docker ties it to that network's id, or for what Docker has left of it.
func (e *Engine) run(ctx context.Context, id string, r db.Release) error {
	if err := again(e.join(ctx, id, r), nil); err != nil {
		return err
	}
	err := e.docker.ContainerStart(ctx, id, container.StartOptions{})
	switch {
	case err == nil:
		return nil
	case isOutside(err):
		return err
	case errdefs.IsNotFound(err) && strings.Contains(err.Error(), "network"), deploy.StuckContainer(err) == id:
		return again(e.end(ctx, id), errAgain)
	case errdefs.IsNotFound(err) && strings.Contains(err.Error(), "No such container"), errdefs.IsConflict(err):
		return errAgain
	}
	return &deploy.Failure{Text: "The container could not start: " + startText(err), Err: err}
}

// startText is the part of a start error that concerns the user: what the OCI runtime said at last.
func startText(err error) string {
	text := daemonText(err)
	if _, after, found := strings.Cut(text, "unable to start container process: "); found {
		text = after
	}
	return strings.TrimSuffix(text, ": unknown")
}

// again asks for another look after a step that somebody else took first; after one that went well it returns next.
func again(err, next error) error {
	switch {
	case err == nil:
		return next
	case errdefs.IsNotFound(err), errdefs.IsConflict(err), errdefs.IsPermissionDenied(err) && strings.Contains(err.Error(), "already exists in network"):
		return errAgain
	}
	return err
}
