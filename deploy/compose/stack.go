package compose

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/docker/compose/v5/pkg/api"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"tinyforge/db"
	"tinyforge/deploy"
)

// stack is what exists of a project, as one look showed it.
type stack struct {
	project string
	members []member
}

// member is one of its containers.
type member struct {
	container.Summary
	detail container.InspectResponse
}

func (m member) service() string       { return m.Labels[api.ServiceLabel] }
func (m member) release() db.ReleaseID { return db.ReleaseID(m.Labels[labelRelease]) }
func (m member) routed() bool          { return m.Labels[labelRouted] == "true" }
func (m member) job() bool             { return m.Labels[labelJob] == "true" }

// runs tells whether it does at this moment; one that waits to be restarted does not.
func (m member) runs() bool {
	s := m.detail.State
	return s != nil && s.Running && !s.Restarting && !s.Paused
}

// stacks returns ours: all of them, of whose containers the state and the addresses alone are told, or that of one project.
func (r *Runtime) stacks(ctx context.Context, project string) (map[string]*stack, error) {
	filters := client.Filters{}.Add("label", labelInstance+"="+r.cfg.Instance)
	if project != "" {
		filters.Add("label", api.ProjectLabel+"="+project)
	} else {
		filters.Add("label", labelRouted)
	}
	found, err := r.docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	all := map[string]*stack{}
	for _, c := range found.Items {
		if !r.owns(c) {
			continue
		}
		detail := listed(c)
		unsure := c.State == container.StateRemoving || c.State == container.StateDead // the list may not know which it is
		if project != "" || unsure {
			inspected, err := r.docker.ContainerInspect(ctx, c.ID, client.ContainerInspectOptions{})
			if errdefs.IsNotFound(err) {
				continue // removed in between
			}
			if err != nil {
				return nil, fmt.Errorf("inspect container: %w", err)
			}
			detail = inspected.Container
		}
		if s := detail.State; s == nil || s.Status == container.StateRemoving {
			continue
		}
		name := c.Labels[api.ProjectLabel]
		if all[name] == nil {
			all[name] = &stack{project: name}
		}
		all[name].members = append(all[name].members, member{c, detail})
	}
	return all, nil
}

// listed is what a list tells of a container's details.
func listed(c container.Summary) container.InspectResponse {
	paused, restarting := c.State == container.StatePaused, c.State == container.StateRestarting
	detail := container.InspectResponse{State: &container.State{
		Status:     c.State,
		Running:    c.State == container.StateRunning || paused || restarting,
		Paused:     paused,
		Restarting: restarting,
	}}
	if c.NetworkSettings != nil {
		detail.NetworkSettings = &container.NetworkSettings{Networks: c.NetworkSettings.Networks}
	}
	return detail
}

// stack returns that of a project; one without members when there is none.
func (r *Runtime) stack(ctx context.Context, project string) (*stack, error) {
	all, err := r.stacks(ctx, project)
	if err != nil {
		return nil, err
	}
	if s := all[project]; s != nil {
		return s, nil
	}
	return &stack{project: project}, nil
}

// routed returns the container of the routed service, nil when there is none. While one replaces another there may be two:
// then it is the one that runs.
func (s *stack) routed() *member {
	var best *member
	for i, m := range s.members {
		if m.routed() && (best == nil || better(m, *best)) {
			best = &s.members[i]
		}
	}
	return best
}

func better(a, b member) bool {
	if a.runs() != b.runs() {
		return a.runs()
	}
	return number(a.Summary, labelDeployment) > number(b.Summary, labelDeployment)
}

// speaker is the container whose labels say which release owns the stack.
func (s *stack) speaker() *member {
	best := s.routed()
	if best != nil {
		return best
	}
	for i, m := range s.members {
		if best == nil || number(m.Summary, labelDeployment) > number(best.Summary, labelDeployment) {
			best = &s.members[i]
		}
	}
	return best
}

// owner is the release that the stack is of, "" when nothing is there.
func (s *stack) owner() db.ReleaseID {
	if m := s.speaker(); m != nil {
		return m.release()
	}
	return ""
}

// foreign refuses to touch a project that has containers or volumes which are not ours.
func (r *Runtime) foreign(ctx context.Context, project string) error {
	filters := client.Filters{}.Add("label", api.ProjectLabel+"="+project)
	containers, err := r.docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	for _, c := range containers.Items {
		if !r.owns(c) {
			return notOurs(project, "container "+nameOf(c), c.Labels)
		}
	}
	volumes, err := r.docker.VolumeList(ctx, client.VolumeListOptions{Filters: filters})
	if err != nil {
		return fmt.Errorf("list volumes: %w", err)
	}
	for _, v := range volumes.Items {
		if v.Labels[labelInstance] != r.cfg.Instance {
			return notOurs(project, "volume "+v.Name, v.Labels)
		}
	}
	return nil
}

func notOurs(project, what string, labels map[string]string) error {
	whose := "is not ours"
	if instance := labels[labelInstance]; instance != "" {
		whose = "is not of this Tinyforge"
	}
	return &deploy.Failure{Text: fmt.Sprintf("The Compose project %s exists and its %s %s: remove it, or rename the workload", project, what, whose)}
}
