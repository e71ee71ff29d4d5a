package docker

import (
	"context"
	"fmt"

	"github.com/docker/docker/api/types/swarm"
)

// Identity tells engines apart.
type Identity struct {
	ID      string // the engine's own, the same after a restart
	Manager bool   // it is a manager of a Swarm
	Swarm   string // why it is not known whether it is one: "locked", "pending" (it starts, or finds no leader) or "error"; else ""
}

// Identity asks the engine which one it is.
func (e *Engine) Identity(ctx context.Context) (Identity, error) {
	info, err := e.docker.Info(ctx)
	if err != nil {
		return Identity{}, fmt.Errorf("ask docker which one it is: %w", err)
	}
	id := Identity{ID: info.ID, Manager: info.Swarm.ControlAvailable}
	switch info.Swarm.LocalNodeState {
	case swarm.LocalNodeStateLocked, swarm.LocalNodeStatePending, swarm.LocalNodeStateError:
		if !id.Manager {
			id.Swarm = string(info.Swarm.LocalNodeState)
		}
	}
	return id, nil
}
