package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/shorten"
)

// sharedNetwork is the real name of a network that workloads share: "tinyforge-<name>".
func (e *Engine) sharedNetwork(name string) string { return e.cfg.Network + "-" + name }

// swarmNetwork is the real name of one over all nodes of a Swarm, which allows no dots: no name of a network has a "_".
func (e *Engine) swarmNetwork(name string) string { return e.cfg.Network + "_swarm_" + name }

// EnsureNetwork makes sure that the network which joins all releases exists.
func (e *Engine) EnsureNetwork(ctx context.Context) error {
	return e.explain("make network "+e.cfg.Network, e.ensureNetwork(ctx, e.cfg.Network))
}

// ensureNetwork makes sure that exactly one network has a name. One that the operator made is used as it is. Engines
// before 25 may create two of a name when two processes ask at once: then both keep the older one.
func (e *Engine) ensureNetwork(ctx context.Context, name string) error {
	e.networkMu.Lock()
	defer e.networkMu.Unlock()
	found, err := e.networks(ctx, name)
	if err != nil || len(found) == 1 {
		return err
	}
	if len(found) == 0 {
		_, err := e.docker.NetworkCreate(ctx, name, network.CreateOptions{
			Driver: "bridge",
			Labels: map[string]string{labelInstance: e.cfg.Instance},
		})
		if err != nil && !errdefs.IsConflict(err) {
			return err
		}
		if found, err = e.networks(ctx, name); err != nil {
			return err
		}
	}
	for i, n := range found {
		if i == 0 || n.Labels[labelInstance] == "" {
			continue
		}
		if err := e.docker.NetworkRemove(ctx, n.ID); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// networks returns those with a name, the oldest first.
func (e *Engine) networks(ctx context.Context, name string) ([]network.Summary, error) {
	all, err := e.docker.NetworkList(ctx, network.ListOptions{Filters: filters.NewArgs(filters.Arg("name", name))})
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(all, func(n network.Summary) bool { return n.Name != name })
	slices.SortFunc(found, func(a, b network.Summary) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return found, nil
}

// join connects a release's container to the networks that its workload shares, where it is not yet. There it answers to
// the workload's name, as every release of the workload does: while two of them run, either may be found.
func (e *Engine) join(ctx context.Context, id string, r db.Release) error {
	if len(r.Networks) == 0 {
		return nil
	}
	c, err := e.docker.ContainerInspect(ctx, id)
	if err != nil {
		return err
	}
	for _, shared := range r.Networks {
		name := e.sharedNetwork(shared)
		if c.NetworkSettings.Networks[name] != nil {
			continue
		}
		if err := e.ensureShared(ctx, shared); err != nil {
			return err
		}
		if err := e.docker.NetworkConnect(ctx, name, id, &network.EndpointSettings{Aliases: []string{r.Workload, string(r.ID)}}); err != nil {
			return err
		}
	}
	return nil
}

// ensureShared makes sure that a shared network exists and is ours: whoever names a network in a config must not get into
// one that the operator, or another Tinyforge, made for something else.
func (e *Engine) ensureShared(ctx context.Context, shared string) error {
	name := e.sharedNetwork(shared)
	if err := e.ensureNetwork(ctx, name); err != nil {
		return err
	}
	found, err := e.networks(ctx, name)
	if err != nil {
		return err
	}
	for _, n := range found {
		if n.Labels[labelInstance] != e.cfg.Instance {
			text := fmt.Sprintf("The network %s exists in Docker and is not ours: take another name, or remove it", name)
			return &deploy.Failure{Text: shorten.To(text, textLimit)}
		}
	}
	return nil
}

// pruneNetworks removes the shared networks of ours that no container names any more, running or not, and those of the Swarm that none of
// its services does.
func (e *Engine) pruneNetworks(ctx context.Context) error {
	e.networkMu.Lock()
	defer e.networkMu.Unlock()
	ours, err := e.docker.NetworkList(ctx, network.ListOptions{Filters: filters.NewArgs(filters.Arg("label", labelInstance+"="+e.cfg.Instance))})
	if err != nil {
		return err
	}
	var errs []error
	for _, n := range ours {
		switch {
		case strings.HasPrefix(n.Name, e.swarmNetwork("")):
		case strings.HasPrefix(n.Name, e.sharedNetwork("")):
			users, err := e.find(ctx, filters.Arg("network", n.ID))
			errs = append(errs, err)
			if err != nil || len(users) > 0 {
				continue
			}
		default:
			continue
		}
		err := e.docker.NetworkRemove(ctx, n.ID)
		if err != nil && (errdefs.IsNotFound(err) || errdefs.IsPermissionDenied(err) || mentions(err.Error(), "not found", "in use")) { // by now
			err = nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
