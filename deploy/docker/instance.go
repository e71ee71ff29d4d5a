package docker

import (
	"context"
	"net"
	"slices"
	"strconv"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Inspect implements deploy.Runtime. A container of that name that is not ours is Missing. A container that waits to be
// restarted after a crash is Exited, with its exit code.
func (e *Engine) Inspect(ctx context.Context, id db.ReleaseID) (deploy.Instance, error) {
	c, err := e.ours(ctx, id)
	if err != nil {
		return deploy.Instance{}, e.explain("inspect release "+string(id), err)
	}
	return e.instance(id, c), nil
}

// List implements deploy.Runtime. A container that carries our labels under another name than its release's is left out.
func (e *Engine) List(ctx context.Context) ([]deploy.Instance, error) {
	found, err := e.find(ctx, filters.Arg("label", labelInstance+"="+e.cfg.Instance))
	if err != nil {
		return nil, e.explain("list releases", err)
	}
	list := make([]deploy.Instance, 0, len(found))
	for _, s := range found {
		id := db.ReleaseID(s.Labels[labelRelease])
		switch {
		case !e.owns(id, s.Labels, s.Names...):
		case s.State == container.StateRemoving, s.State == container.StateDead: // of which the list may not know which it is
			c, err := e.ours(ctx, id)
			if err != nil {
				return nil, e.explain("list releases", err)
			}
			if c != nil {
				list = append(list, e.instance(id, c))
			}
		default:
			list = append(list, e.listed(id, s))
		}
	}
	return list, nil
}

// ours returns the container of a release; nil when there is none, it is not ours or it is being removed.
func (e *Engine) ours(ctx context.Context, id db.ReleaseID) (*container.InspectResponse, error) {
	c, err := e.named(ctx, id)
	if c != nil && c.State.Status == container.StateRemoving {
		c = nil
	}
	return c, err
}

// named returns the container of a release, even while it is being removed; nil when there is none or it is not ours.
func (e *Engine) named(ctx context.Context, id db.ReleaseID) (*container.InspectResponse, error) {
	c, err := e.docker.ContainerInspect(ctx, string(id))
	switch {
	case errdefs.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	case !e.owns(id, c.Config.Labels, c.Name):
		return nil, nil
	}
	return &c, nil
}

// owns tells whether a container is the one of that release of ours. Labels alone do not say so: containers inherit those
// of their image, which anybody may have made; no two containers have the same name.
func (e *Engine) owns(id db.ReleaseID, labels map[string]string, names ...string) bool {
	return slices.Contains(names, "/"+string(id)) && labels[labelRelease] == string(id) && labels[labelInstance] == e.cfg.Instance
}

func (e *Engine) find(ctx context.Context, args ...filters.KeyValuePair) ([]container.Summary, error) {
	return e.docker.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(args...)})
}

func (e *Engine) instance(id db.ReleaseID, c *container.InspectResponse) deploy.Instance {
	if c == nil {
		return deploy.Instance{ID: id, State: deploy.Missing}
	}
	in := e.outline(id, c.Config.Labels, c.State.Status, c.NetworkSettings.Networks[e.cfg.Network])
	in.ExitCode, in.Restarts, in.OOMKilled = c.State.ExitCode, c.RestartCount, c.State.OOMKilled
	return in
}

func (e *Engine) listed(id db.ReleaseID, s container.Summary) deploy.Instance {
	var endpoint *network.EndpointSettings
	if s.NetworkSettings != nil {
		endpoint = s.NetworkSettings.Networks[e.cfg.Network]
	}
	return e.outline(id, s.Labels, s.State, endpoint)
}

// outline is what a list shows as well as a look.
func (e *Engine) outline(id db.ReleaseID, labels map[string]string, status container.ContainerState, endpoint *network.EndpointSettings) deploy.Instance {
	in := deploy.Instance{
		ID:           id,
		WorkloadID:   number(labels, labelWorkload),
		DeploymentID: number(labels, labelDeployment),
		State:        state(status),
	}
	if in.State == deploy.Running {
		in.Upstream = upstream(id, labels, endpoint)
	}
	return in
}

// state calls a paused container Exited: it answers nothing until Start wakes it.
func state(status container.ContainerState) deploy.State {
	switch status {
	case container.StateCreated:
		return deploy.Created
	case container.StateRunning:
		return deploy.Running
	}
	return deploy.Exited
}

// upstream is zero in the moment in which a container that ends has lost its address already.
func upstream(id db.ReleaseID, labels map[string]string, endpoint *network.EndpointSettings) deploy.Upstream {
	if endpoint == nil || endpoint.IPAddress == "" {
		return deploy.Upstream{}
	}
	return deploy.Upstream{Name: string(id), Addr: net.JoinHostPort(endpoint.IPAddress, labels[labelPort]), Port: int(number(labels, labelPort))}
}

// number reads a label that we wrote; 0 when somebody else did.
func number(labels map[string]string, label string) int64 {
	n, err := strconv.ParseInt(labels[label], 10, 64)
	if err != nil {
		return 0
	}
	return n
}
