package docker

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"
)

// Identity tells engines apart.
type Identity struct {
	ID      string // the engine's own, the same after a restart; see unique
	Manager bool   // it is a manager of a Swarm
	Swarm   string // why it is not known whether it is one: "locked", "pending" (it starts, or finds no leader) or "error"; else ""
}

// Identity asks the engine which one it is.
func (e *Engine) Identity(ctx context.Context) (Identity, error) {
	info, err := e.docker.Info(ctx)
	if err != nil {
		return Identity{}, fmt.Errorf("ask docker which one it is: %w", err)
	}
	own, err := e.unique(ctx, info.ID)
	if err != nil {
		return Identity{}, fmt.Errorf("ask docker which one it is: %w", err)
	}
	id := Identity{ID: own, Manager: info.Swarm.ControlAvailable}
	switch info.Swarm.LocalNodeState {
	case swarm.LocalNodeStateLocked, swarm.LocalNodeStatePending, swarm.LocalNodeStateError:
		if !id.Manager {
			id.Swarm = string(info.Swarm.LocalNodeState)
		}
	}
	return id, nil
}

// unique makes an engine's id its own: Docker's is that of the machine, or of the image from which several machines were made. The network
// "none" is made once, at the first start, and nobody can remove it.
func (e *Engine) unique(ctx context.Context, id string) (string, error) {
	none, err := e.docker.NetworkInspect(ctx, "none", network.InspectOptions{})
	if errdefs.IsNotFound(err) {
		return id, nil
	}
	return id + "/" + none.ID, err
}
