package docker

import (
	"context"
	"fmt"
)

// Identity tells engines apart.
type Identity struct {
	ID      string // the engine's own, the same after a restart
	Manager bool   // it is a manager of a Swarm
}

// Identity asks the engine which one it is.
func (e *Engine) Identity(ctx context.Context) (Identity, error) {
	info, err := e.docker.Info(ctx)
	if err != nil {
		return Identity{}, fmt.Errorf("ask docker which one it is: %w", err)
	}
	return Identity{ID: info.ID, Manager: info.Swarm.ControlAvailable}, nil
}
