package docker

import (
	"context"
	"slices"
	"time"

	"github.com/docker/docker/api/types/swarm"

	"tinyforge/db"
)

// logLimit bounds how long the log of a task is waited for: its node may be out of reach.
const logLimit = 5 * time.Second

// Tail implements deploy.Runtime: at most 50 lines of the task that ended by itself last or, where none did, of the newest one. Where
// there are none, what Swarm says of the last task that came to nothing stands for them.
func (s *Swarm) Tail(ctx context.Context, id db.ReleaseID) ([]string, error) {
	v, err := s.look(ctx, id)
	if err != nil || v == nil {
		return nil, s.explain("inspect release "+string(id), err)
	}
	var lines []string
	if t := v.telling(); t != nil {
		lines, err = s.tail(ctx, t.ID)
	}
	if ctx.Err() != nil {
		return nil, s.explain("read logs of release "+string(id), ctx.Err())
	}
	if err != nil {
		s.engine.cfg.Log.WarnContext(ctx, "the log of a task cannot be read", "release", id, "error", err)
	}
	if why := v.why(""); len(lines) == 0 && why != "" {
		lines = []string{why}
	}
	return lines, nil
}

// telling is the task whose log says most; nil where none has begun.
func (v *view) telling() *swarm.Task {
	tasks := v.ended()
	if len(tasks) == 0 {
		tasks = slices.DeleteFunc(slices.Clone(v.tasks), func(t swarm.Task) bool {
			return t.Status.ContainerStatus == nil || t.Status.ContainerStatus.ContainerID == ""
		})
		slices.SortFunc(tasks, func(a, b swarm.Task) int { return b.CreatedAt.Compare(a.CreatedAt) })
	}
	if len(tasks) == 0 {
		return nil
	}
	return &tasks[0]
}

func (s *Swarm) tail(ctx context.Context, task string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, logLimit)
	defer cancel()
	logs, err := s.engine.docker.TaskLogs(ctx, task, lastLines())
	if err != nil {
		return nil, err
	}
	return readTail(logs)
}
