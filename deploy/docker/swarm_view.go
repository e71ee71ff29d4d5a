package docker

import (
	"context"
	"net"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/swarm"

	"tinyforge/db"
	"tinyforge/deploy"
)

// view is a service with its tasks, and the nodes they run on.
type view struct {
	service swarm.Service
	tasks   []swarm.Task
	nodes   map[string]swarm.Node
	config  swarm.Config // see keepPorts
}

// Inspect implements deploy.Runtime. A release is Running when at least one replica runs on a node that Swarm does not think is down, and Upstream
// has the addresses of all that do and tell where they answer. Restarts counts the tasks that ended by themselves since the service was
// changed last, of the five for each replica that Swarm keeps.
func (s *Swarm) Inspect(ctx context.Context, id db.ReleaseID) (deploy.Instance, error) {
	v, err := s.look(ctx, id)
	if err != nil {
		return deploy.Instance{}, s.explain("inspect release "+string(id), err)
	}
	return v.instance(id), nil
}

// look returns nil for a release that is absent.
func (s *Swarm) look(ctx context.Context, id db.ReleaseID) (*view, error) {
	service, err := s.ours(ctx, id)
	if err != nil || service == nil {
		return nil, err
	}
	return s.view(ctx, *service)
}

func (s *Swarm) view(ctx context.Context, service swarm.Service) (*view, error) {
	tasks, err := s.engine.docker.TaskList(ctx, swarm.TaskListOptions{Filters: filters.NewArgs(filters.Arg("service", service.ID))})
	if err != nil {
		return nil, err
	}
	configs, err := s.configsOf(ctx, filters.Arg("label", labelRelease+"="+service.Spec.Name))
	if err != nil {
		return nil, err
	}
	nodes, err := s.nodes(ctx)
	if err != nil {
		return nil, err
	}
	v := &view{service, tasks, nodes, configs[db.ReleaseID(service.Spec.Name)]}
	return v, s.keepPorts(ctx, v)
}

func (s *Swarm) nodes(ctx context.Context) (map[string]swarm.Node, error) {
	list, err := s.engine.docker.NodeList(ctx, swarm.NodeListOptions{})
	if err != nil {
		return nil, err
	}
	nodes := make(map[string]swarm.Node, len(list))
	for _, n := range list {
		nodes[n.ID] = n
	}
	return nodes, nil
}

// List implements deploy.Runtime. A release of which only secrets or the config are left is Missing.
func (s *Swarm) List(ctx context.Context) ([]deploy.Instance, error) {
	list, err := s.list(ctx)
	if err == nil {
		list, err = s.withLeft(ctx, list)
	}
	return list, s.explain("list releases", err)
}

func (s *Swarm) list(ctx context.Context) ([]deploy.Instance, error) {
	services, err := s.engine.docker.ServiceList(ctx, swarm.ServiceListOptions{Filters: filters.NewArgs(filters.Arg("label", labelInstance+"="+s.engine.cfg.Instance))})
	if err != nil || len(services) == 0 {
		return nil, err
	}
	tasks, err := s.engine.docker.TaskList(ctx, swarm.TaskListOptions{})
	if err != nil {
		return nil, err
	}
	configs, err := s.configsOf(ctx)
	if err != nil {
		return nil, err
	}
	nodes, err := s.nodes(ctx)
	if err != nil {
		return nil, err
	}
	of := map[string][]swarm.Task{}
	for _, t := range tasks {
		of[t.ServiceID] = append(of[t.ServiceID], t)
	}
	var list []deploy.Instance
	for _, service := range services {
		id := db.ReleaseID(service.Spec.Labels[labelRelease])
		if !s.owns(id, service.Spec) {
			continue
		}
		v := &view{service, of[service.ID], nodes, configs[id]}
		if err := s.keepPorts(ctx, v); err != nil {
			s.engine.cfg.Log.WarnContext(ctx, "where a release answers cannot be kept", "release", id, "error", err)
		}
		in := v.instance(id)
		in.ExitCode, in.Restarts = 0, 0
		list = append(list, in)
	}
	return list, nil
}

func (v *view) instance(id db.ReleaseID) deploy.Instance {
	in := deploy.Instance{ID: id, State: deploy.Missing}
	if v == nil {
		return in
	}
	labels := v.service.Spec.Labels
	in.WorkloadID, in.DeploymentID = number(labels, labelWorkload), number(labels, labelDeployment)
	in.Replicas = replicasOf(v.service.Spec)
	in.State = deploy.Exited
	if last := v.ended(); len(last) > 0 {
		in.ExitCode, in.Restarts = codeOf(last[0]), len(last)
	} else if len(v.tasks) == 0 {
		in.State = deploy.Created
	}
	if isStopped(v.service.Spec.TaskTemplate) || !slices.ContainsFunc(v.tasks, v.runs) {
		return in
	}
	in.State, in.Elsewhere = deploy.Running, v.elsewhere()
	in.Upstream = deploy.Upstream{Name: string(id), Addr: strings.Join(v.addrs(), ","), Port: int(number(labels, labelPort))}
	return in
}

// replicasOf is how often a service is to run, whoever asked for that; 0 of one that somebody made run on every node.
func replicasOf(spec swarm.ServiceSpec) int {
	if r := spec.Mode.Replicated; r != nil && r.Replicas != nil {
		return int(*r.Replicas) //nolint:gosec // a few
	}
	return 0
}

// ended are the tasks that ended by themselves, the last one first, of those that run what the service is made of now.
func (v *view) ended() []swarm.Task {
	list := v.current(func(t swarm.Task) bool {
		return t.Status.State == swarm.TaskStateFailed || t.Status.State == swarm.TaskStateComplete
	})
	slices.SortFunc(list, func(a, b swarm.Task) int { return b.Status.Timestamp.Compare(a.Status.Timestamp) })
	return list
}

func codeOf(t swarm.Task) int {
	if t.Status.ContainerStatus == nil {
		return 0
	}
	return t.Status.ContainerStatus.ExitCode
}

// endedBefore is labelEnded of a service that is changed now: the tasks that have ended, with spaces between.
func (v *view) endedBefore() string {
	var ids []string
	for _, t := range v.tasks {
		if t.Status.State == swarm.TaskStateFailed || t.Status.State == swarm.TaskStateComplete || t.Status.State == swarm.TaskStateRejected {
			ids = append(ids, t.ID)
		}
	}
	return strings.Join(ids, " ")
}

// current are the tasks of the service as it is now, without those that had ended before it was made so.
func (v *view) current(which func(swarm.Task) bool) (list []swarm.Task) {
	for _, t := range v.tasks {
		ours := t.Spec.ContainerSpec != nil && t.Spec.ContainerSpec.Labels[labelConfig] == templateOf(v.service.Spec)
		if ours && !strings.Contains(v.service.Spec.Labels[labelEnded], t.ID) && which(t) {
			list = append(list, t)
		}
	}
	return list
}

// addrs are where the tasks answer that run, sorted.
func (v *view) addrs() (list []string) {
	for _, t := range v.tasks {
		if addr := v.addr(t); addr != "" {
			list = append(list, addr)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// runs tells whether a task answers. The containers of a node that is down may go on: nobody is led to them.
func (v *view) runs(t swarm.Task) bool {
	node, known := v.nodes[t.NodeID]
	return known && isUp(node) && t.DesiredState == swarm.TaskStateRunning && t.Status.State == swarm.TaskStateRunning
}

// addr is where a task answers, "" when it does not, or nobody knows.
func (v *view) addr(t swarm.Task) string {
	if port := v.port(t); v.runs(t) && port != "" {
		return net.JoinHostPort(address(v.nodes[t.NodeID]), port)
	}
	return ""
}

// elsewhere are the nodes' addresses of the tasks that answer where nobody knows, nor ever will: they ran when no Tinyforge did, and then
// a manager was started anew.
func (v *view) elsewhere() string {
	var hosts []string
	for _, t := range v.tasks {
		if v.runs(t) && v.addr(t) == "" {
			hosts = append(hosts, address(v.nodes[t.NodeID]))
		}
	}
	slices.Sort(hosts)
	return strings.Join(slices.Compact(hosts), ",")
}

// unreached tells whether tasks run, and of none it is known where it answers.
func (v *view) unreached() bool { return v.elsewhere() != "" && len(v.addrs()) == 0 }

// isUp tells whether a node's tasks may run. Of all nodes Swarm says for some seconds that they are unknown, whenever it has another
// leader or its manager was started anew: their tasks go on meanwhile.
func isUp(n swarm.Node) bool {
	return n.Status.State == swarm.NodeStateReady || n.Status.State == swarm.NodeStateUnknown
}

// address is a node's. A manager may not know its own, and then it is where the others reach it.
func address(node swarm.Node) string {
	ip := net.ParseIP(node.Status.Addr)
	if node.ManagerStatus != nil && (ip == nil || ip.IsUnspecified() || ip.IsLoopback()) {
		if host, _, err := net.SplitHostPort(node.ManagerStatus.Addr); err == nil {
			return host
		}
	}
	return node.Status.Addr
}
