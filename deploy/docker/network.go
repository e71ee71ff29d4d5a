package docker

import (
	"cmp"
	"context"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
)

// EnsureNetwork makes sure that the network which joins all releases exists.
func (e *Engine) EnsureNetwork(ctx context.Context) error {
	return e.explain("make network "+e.cfg.Network, e.ensureNetwork(ctx))
}

// ensureNetwork makes sure that exactly one network has our name. One that the operator made is used as it is. Engines
// before 25 may create two of a name when two processes ask at once: then both keep the older one.
func (e *Engine) ensureNetwork(ctx context.Context) error {
	e.networkMu.Lock()
	defer e.networkMu.Unlock()
	found, err := e.networks(ctx)
	if err != nil || len(found) == 1 {
		return err
	}
	if len(found) == 0 {
		_, err := e.docker.NetworkCreate(ctx, e.cfg.Network, network.CreateOptions{
			Driver: "bridge",
			Labels: map[string]string{labelInstance: e.cfg.Instance},
		})
		if err != nil && !errdefs.IsConflict(err) {
			return err
		}
		if found, err = e.networks(ctx); err != nil {
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

// networks returns those with our name, the oldest first.
func (e *Engine) networks(ctx context.Context) ([]network.Summary, error) {
	all, err := e.docker.NetworkList(ctx, network.ListOptions{Filters: filters.NewArgs(filters.Arg("name", e.cfg.Network))})
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(all, func(n network.Summary) bool { return n.Name != e.cfg.Network })
	slices.SortFunc(found, func(a, b network.Summary) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return found, nil
}
