package compose

import (
	"context"
	"net"
	"strconv"

	"github.com/moby/moby/api/types/container"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Inspect implements deploy.Runtime. A stack runs when its routed service does and no other one has ended that should not.
// While another one is down, its routed service keeps its Upstream.
func (r *Runtime) Inspect(ctx context.Context, id db.ReleaseID) (deploy.Instance, error) {
	in, err := r.inner.Inspect(ctx, id)
	if err != nil || in.State != deploy.Missing {
		return in, err
	}
	s, err := r.stack(ctx, projectOf(id))
	if err != nil {
		return deploy.Instance{}, r.explain("inspect stack "+string(id), err)
	}
	if s.owner() == id {
		in = r.instance(s)
	}
	return in, nil
}

// Tail implements deploy.Runtime. Of a stack it is that of one container, and none where that cannot be read.
func (r *Runtime) Tail(ctx context.Context, id db.ReleaseID) ([]string, error) {
	lines, err := r.inner.Tail(ctx, id)
	if err != nil || len(lines) > 0 {
		return lines, err
	}
	s, err := r.stack(ctx, projectOf(id))
	if err != nil {
		return nil, r.explain("inspect stack "+string(id), err)
	}
	if m := s.telling(id); m != nil {
		lines = r.tail(ctx, m.ID)
	}
	return lines, nil
}

// List implements deploy.Runtime.
func (r *Runtime) List(ctx context.Context) ([]deploy.Instance, error) {
	list, err := r.inner.List(ctx)
	if err != nil {
		return nil, err
	}
	stacks, err := r.stacks(ctx, "")
	if err != nil {
		return nil, r.explain("list stacks", err)
	}
	for _, s := range stacks {
		in := r.instance(s)
		in.Service = "" // nothing else is told of it
		list = append(list, in)
	}
	return list, nil
}

// instance is the release that owns a stack that has members.
func (r *Runtime) instance(s *stack) deploy.Instance {
	speaker := s.speaker()
	in := deploy.Instance{
		ID:           speaker.release(),
		WorkloadID:   number(speaker.Summary, labelWorkload),
		DeploymentID: number(speaker.Summary, labelDeployment),
	}
	routed := s.routed()
	worst := s.worst(in.ID)
	in.State = deploy.Running
	switch {
	case !s.started():
		in.State = deploy.Created
	case routed == nil || !routed.runs() || worst.down():
		in.State = deploy.Exited
	}
	if worst != nil {
		in.Service, in.ExitCode, in.OOMKilled = worst.service(), worst.detail.State.ExitCode, worst.detail.State.OOMKilled
		in.Restarts = worst.restarts(in.ID)
	}
	if routed != nil && routed.runs() {
		in.Upstream = r.upstream(in.ID, *routed)
	}
	return in
}

// started tells whether any container ever was.
func (s *stack) started() bool {
	for _, m := range s.members {
		if m.detail.State.Status != container.StateCreated {
			return true
		}
	}
	return false
}

// worst returns the container that most needs to be told of: one that is down, then one that had to be restarted, then the
// routed one. It is nil when there is none of these.
func (s *stack) worst(id db.ReleaseID) *member {
	worst := s.routed()
	if worst != nil && !worst.runs() {
		return worst
	}
	for i, m := range s.members {
		switch {
		case m.down():
			return &s.members[i]
		case worst == nil, m.restarts(id) > worst.restarts(id):
			worst = &s.members[i]
		}
	}
	return worst
}

// down tells whether a container does not run that should, and that nobody restarts.
func (m *member) down() bool {
	if m == nil || m.job() && m.detail.State.Status != container.StateCreated {
		return false
	}
	return !m.runs() && !m.detail.State.Restarting
}

// restarts are those since the release began: a container that it left running has a history that is not its own.
func (m *member) restarts(id db.ReleaseID) int {
	if m.release() != id {
		return 0
	}
	return m.detail.RestartCount
}

// upstream is zero as long as the container has no address on the shared network.
func (r *Runtime) upstream(id db.ReleaseID, m member) deploy.Upstream {
	endpoint := m.endpoint(r.cfg.Network)
	if endpoint == nil || !endpoint.IPAddress.IsValid() {
		return deploy.Upstream{}
	}
	port := int(number(m.Summary, labelPort))
	return deploy.Upstream{Name: string(id), Addr: net.JoinHostPort(endpoint.IPAddress.String(), strconv.Itoa(port)), Port: port}
}

// telling returns the container whose last lines tell how a release does: of those that it made the one that is to blame, or
// the routed one.
func (s *stack) telling(id db.ReleaseID) *member {
	mine := &stack{project: s.project}
	for _, m := range s.members {
		if m.release() == id {
			mine.members = append(mine.members, m)
		}
	}
	for i, m := range mine.members {
		if m.failure(id) != nil {
			return &mine.members[i]
		}
	}
	return mine.worst(id)
}
