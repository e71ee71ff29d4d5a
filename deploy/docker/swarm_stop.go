package docker

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/swarm"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Stop implements deploy.Runtime: all tasks end at once, as on an engine, and no node may run one until the next Start. It waits for those
// on nodes that are up.
func (s *Swarm) Stop(ctx context.Context, id db.ReleaseID) error {
	return s.explain("stop release "+string(id), s.stop(ctx, id))
}

func (s *Swarm) stop(ctx context.Context, id db.ReleaseID) error {
	there, err := retried(ctx, func() (bool, error) {
		service, err := s.ours(ctx, id)
		if err != nil || service == nil || isStopped(service.Spec.TaskTemplate) {
			return service != nil, err
		}
		return true, s.update(ctx, *service, stopped(service.Spec))
	})
	if err != nil || !there {
		return err
	}
	return s.ended(ctx, func() ([]swarm.Task, map[string]swarm.Node, error) {
		v, err := s.look(ctx, id)
		if err != nil || v == nil {
			return nil, nil, err
		}
		return v.tasks, v.nodes, nil
	})
}

// Remove implements deploy.Runtime. It waits until the tasks have ended on the nodes that are up.
func (s *Swarm) Remove(ctx context.Context, id db.ReleaseID) error {
	return s.explain("remove release "+string(id), s.remove(ctx, id))
}

func (s *Swarm) remove(ctx context.Context, id db.ReleaseID) error {
	service, err := s.ours(ctx, id)
	if err != nil {
		return err
	}
	if service != nil {
		if err := s.engine.docker.ServiceRemove(ctx, service.ID); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
		err := s.ended(ctx, func() ([]swarm.Task, map[string]swarm.Node, error) {
			tasks, err := s.engine.docker.TaskList(ctx, swarm.TaskListOptions{})
			if err != nil {
				return nil, nil, err
			}
			tasks = slices.DeleteFunc(tasks, func(t swarm.Task) bool { return t.ServiceID != service.ID })
			nodes, err := s.nodes(ctx)
			return tasks, nodes, err
		})
		if err != nil {
			return err
		}
	}
	return errors.Join(s.removeSecrets(ctx, id), s.removeConfig(ctx, id))
}

// ended waits until none of the tasks will begin any more, on whatever node, and none runs on a node that is up.
func (s *Swarm) ended(ctx context.Context, look func() ([]swarm.Task, map[string]swarm.Node, error)) error {
	pause := 50 * time.Millisecond
	for {
		tasks, nodes, err := look()
		if err != nil {
			return err
		}
		ends := 0
		for _, t := range tasks {
			if isUp(nodes[t.NodeID]) && hasContainer(t.Status.State) || begins(t) {
				ends++
			}
		}
		if ends == 0 {
			return nil
		}
		if err := deploy.Sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(pause*2, 500*time.Millisecond)
	}
}

// begins tells whether Swarm has yet to take back what it wanted of a task before the release was stopped or removed: it may be waiting
// for a node, or its node be away.
func begins(t swarm.Task) bool { return isWanted(t) && !isOver(t.Status.State) && !isStopped(t.Spec) }

// isWanted tells whether a task is to run, now or after a pause.
func isWanted(t swarm.Task) bool {
	return t.DesiredState == swarm.TaskStateRunning || t.DesiredState == swarm.TaskStateReady
}

// isOver tells whether a task in that state never runs again.
func isOver(state swarm.TaskState) bool {
	switch state {
	case swarm.TaskStateComplete, swarm.TaskStateShutdown, swarm.TaskStateFailed, swarm.TaskStateRejected, swarm.TaskStateRemove, swarm.TaskStateOrphaned:
		return true
	}
	return false
}

// hasContainer tells whether a task in that state may have a container that runs.
func hasContainer(state swarm.TaskState) bool {
	switch state {
	case swarm.TaskStateAssigned, swarm.TaskStateAccepted, swarm.TaskStatePreparing, swarm.TaskStateReady, swarm.TaskStateStarting, swarm.TaskStateRunning:
		return true
	}
	return false
}

// RemoveVolumes implements deploy.Runtime: those on this engine's node. Volumes on other nodes are left, since no manager reaches them.
func (s *Swarm) RemoveVolumes(ctx context.Context, workload string) error {
	return s.engine.RemoveVolumes(ctx, workload)
}
