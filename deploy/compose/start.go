package compose

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/containerd/errdefs"
	"github.com/docker/compose/v5/pkg/api"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Start implements deploy.Runtime. For a stack it is an up that converges from whatever is there, also from one that was
// cut off: services that this release has otherwise are made anew, those that it has not are removed, the others go on. It
// waits until every service but the routed one is ready; whether that is, is for the gate to say. An up that fails is a
// *deploy.Failure that names the service.
func (r *Runtime) Start(ctx context.Context, release db.Release) (deploy.Instance, error) {
	if release.Stack == nil {
		return r.inner.Start(ctx, release)
	}
	in, err := r.startStack(ctx, release)
	if err != nil {
		return deploy.Instance{}, r.explain("start stack "+string(release.ID), err)
	}
	return in, nil
}

func (r *Runtime) startStack(ctx context.Context, release db.Release) (deploy.Instance, error) {
	name := projectName(release.Workload)
	unlock, err := r.locks.lock(ctx, name)
	if err != nil {
		return deploy.Instance{}, err
	}
	defer unlock()
	project, err := decode(ctx, name, release.Stack.Project)
	if err != nil {
		return deploy.Instance{}, err
	}
	mark(project, release, r.cfg.Instance)
	if err := r.inner.EnsureNetwork(ctx); err != nil {
		return deploy.Instance{}, err
	}
	if err := r.foreign(ctx, name); err != nil {
		return deploy.Instance{}, err
	}
	if err := r.tidy(ctx, name); err != nil {
		return deploy.Instance{}, err
	}
	err = r.up(ctx, project, converge())
	for range project.Services {
		stuck := r.stuck(ctx, name, err)
		if stuck == "" {
			break
		}
		again := converge()
		again.Services, again.Recreate = []string{stuck}, api.RecreateForce // it takes over what anonymous volumes hold
		if err = r.up(ctx, project, again); err == nil {
			err = r.up(ctx, project, converge()) // the others
		}
	}
	if err != nil {
		return deploy.Instance{}, r.why(ctx, release, err)
	}
	if err := r.ready(ctx, release); err != nil {
		return deploy.Instance{}, err
	}
	s, err := r.join(ctx, release)
	if err != nil {
		return deploy.Instance{}, err
	}
	return r.instance(s), nil
}

// converge makes anew what this release has otherwise, and removes what it has not.
func converge() api.CreateOptions {
	return api.CreateOptions{Recreate: api.RecreateDiverged, RecreateDependencies: api.RecreateDiverged, RemoveOrphans: true, Inherit: true}
}

// up is Compose's own. Images are there already.
func (r *Runtime) up(ctx context.Context, project *types.Project, create api.CreateOptions) error {
	err := r.compose.Up(ctx, project, api.UpOptions{Create: create, Start: api.StartOptions{Project: project, WaitTimeout: r.cfg.Patience}})
	return errors.Join(err, ctx.Err()) // it says nothing of some that were cut off
}

// stuck is the service of a stack whose container can never start, as an up that failed says; "" when there is none.
func (r *Runtime) stuck(ctx context.Context, project string, cause error) string {
	id := deploy.StuckContainer(cause)
	if id == "" {
		return ""
	}
	s, err := r.stack(ctx, project)
	if err != nil {
		return ""
	}
	for _, m := range s.members {
		if m.ID == id {
			return m.service()
		}
	}
	return ""
}

// decode reads a project as encode wrote it. Nothing else is read.
func decode(ctx context.Context, name string, text json.RawMessage) (*types.Project, error) {
	details := types.ConfigDetails{
		WorkingDir:  "/",
		ConfigFiles: []types.ConfigFile{{Filename: "stack.json", Content: text}},
		Environment: types.Mapping{},
	}
	project, err := load(ctx, details, func(o *loader.Options) {
		o.SetProjectName(name, true)
		o.SkipInclude, o.SkipExtends, o.SkipInterpolation = true, true, true
		o.SkipValidation = true // the schema knows no content of secrets
		o.SkipResolveEnvironment, o.SkipResolveLabels = true, true
		o.ResolvePaths = false
	})
	if err != nil {
		return nil, fmt.Errorf("decode stack: %w", err)
	}
	return project, nil
}

// tidy takes away what Compose does not converge from.
func (r *Runtime) tidy(ctx context.Context, project string) error {
	s, err := r.stack(ctx, project)
	if err != nil {
		return err
	}
	if err := r.dropStale(ctx, s); err != nil {
		return err
	}
	names := map[string]bool{}
	for _, m := range s.members {
		names[nameOf(m.Summary)] = true
	}
	for _, m := range s.members {
		if err := r.finishReplacing(ctx, m, names); err != nil {
			return err
		}
	}
	return nil
}

// finishReplacing does away with a container that was made to replace another one, and has its own name not yet: it gets the
// name if that is free, for it has what the other one kept in anonymous volumes, and goes if it is not.
func (r *Runtime) finishReplacing(ctx context.Context, m member, names map[string]bool) error {
	name := nameOf(m.Summary)
	own := temporary.ReplaceAllString(name, "")
	if own == name {
		return nil
	}
	if !names[own] {
		names[own] = true
		if _, err := r.docker.ContainerRename(ctx, m.ID, client.ContainerRenameOptions{NewName: own}); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("rename container: %w", err)
		}
		return nil
	}
	return r.removeContainer(ctx, m)
}

func (r *Runtime) removeContainer(ctx context.Context, m member) error {
	_, err := r.docker.ContainerRemove(ctx, m.ID, client.ContainerRemoveOptions{Force: true})
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("remove container: %w", err)
	}
	return nil
}

// dropStale removes a routed container that is tied to a shared network which is gone: it could not start again.
func (r *Runtime) dropStale(ctx context.Context, s *stack) error {
	shared, err := r.docker.NetworkInspect(ctx, r.cfg.Network, client.NetworkInspectOptions{})
	if err != nil {
		return fmt.Errorf("inspect network: %w", err)
	}
	for _, m := range s.members {
		endpoint := m.endpoint(r.cfg.Network)
		if endpoint == nil || endpoint.NetworkID == "" || endpoint.NetworkID == shared.Network.ID {
			continue
		}
		if err := r.removeContainer(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (m member) endpoint(name string) *network.EndpointSettings {
	if m.detail.NetworkSettings == nil {
		return nil
	}
	return m.detail.NetworkSettings.Networks[name]
}

// join connects the routed container to the shared network. Compose would give it the name of its service there, which is
// also that of other stacks' services.
func (r *Runtime) join(ctx context.Context, release db.Release) (*stack, error) {
	s, err := r.stack(ctx, projectName(release.Workload))
	if err != nil {
		return nil, err
	}
	m := s.routed()
	if m == nil || m.release() != release.ID {
		return nil, &deploy.Failure{Text: fmt.Sprintf("Service %s has no container: somebody removed it", release.Stack.Service)}
	}
	if m.endpoint(r.cfg.Network) != nil {
		return s, nil
	}
	_, err = r.docker.NetworkConnect(ctx, r.cfg.Network, client.NetworkConnectOptions{
		Container:      m.ID,
		EndpointConfig: &network.EndpointSettings{Aliases: []string{string(release.ID)}},
	})
	if err != nil {
		return nil, fmt.Errorf("connect to network: %w", err)
	}
	return r.stack(ctx, s.project)
}
