package docker

import (
	"context"
	"net"
	"strconv"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"

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
		c, err := e.docker.ContainerInspect(ctx, s.ID)
		if errdefs.IsNotFound(err) {
			continue // removed in between
		}
		if err != nil {
			return nil, e.explain("list releases", err)
		}
		if id := db.ReleaseID(c.Config.Labels[labelRelease]); e.owns(&c, id) && c.State.Status != container.StateRemoving {
			list = append(list, e.instance(id, &c))
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
	case !e.owns(&c, id):
		return nil, nil
	}
	return &c, nil
}

// owns tells whether a container is the one of that release of ours. Labels alone do not say so: containers inherit those
// of their image, which anybody may have made; no two containers have the same name.
func (e *Engine) owns(c *container.InspectResponse, id db.ReleaseID) bool {
	labels := c.Config.Labels
	return c.Name == "/"+string(id) && labels[labelRelease] == string(id) && labels[labelInstance] == e.cfg.Instance
}

func (e *Engine) find(ctx context.Context, args ...filters.KeyValuePair) ([]container.Summary, error) {
	return e.docker.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(args...)})
}

func (e *Engine) instance(id db.ReleaseID, c *container.InspectResponse) deploy.Instance {
	if c == nil {
		return deploy.Instance{ID: id, State: deploy.Missing}
	}
	in := deploy.Instance{
		ID:           id,
		WorkloadID:   number(c, labelWorkload),
		DeploymentID: number(c, labelDeployment),
		State:        state(c.State),
		ExitCode:     c.State.ExitCode,
		Restarts:     c.RestartCount,
		OOMKilled:    c.State.OOMKilled,
	}
	if in.State == deploy.Running {
		in.Upstream = e.upstream(id, c)
	}
	return in
}

// state calls a paused container Exited: it answers nothing until Start wakes it.
func state(s *container.State) deploy.State {
	switch {
	case s.Status == container.StateCreated:
		return deploy.Created
	case s.Running && !s.Restarting && !s.Paused:
		return deploy.Running
	}
	return deploy.Exited
}

// upstream is zero in the moment in which a container that ends has lost its address already.
func (e *Engine) upstream(id db.ReleaseID, c *container.InspectResponse) deploy.Upstream {
	endpoint := c.NetworkSettings.Networks[e.cfg.Network]
	if endpoint == nil || endpoint.IPAddress == "" {
		return deploy.Upstream{}
	}
	port := c.Config.Labels[labelPort]
	return deploy.Upstream{Name: string(id), Addr: net.JoinHostPort(endpoint.IPAddress, port), Port: int(number(c, labelPort))}
}

// number reads a label that we wrote; 0 when somebody else did.
func number(c *container.InspectResponse, label string) int64 {
	n, err := strconv.ParseInt(c.Config.Labels[label], 10, 64)
	if err != nil {
		return 0
	}
	return n
}
