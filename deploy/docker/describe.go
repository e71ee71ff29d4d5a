package docker

import "context"

// Description is what an engine says of itself.
type Description struct {
	Version, API string
	Driver       string // of its storage
	Memory       int64  // bytes of the machine
}

// Describe asks the engine what it is.
func (e *Engine) Describe(ctx context.Context) (Description, error) {
	info, err := e.docker.Info(ctx)
	if err != nil {
		return Description{}, e.explain("describe docker", err)
	}
	return Description{Version: info.ServerVersion, API: e.docker.ClientVersion(), Driver: info.Driver, Memory: info.MemTotal}, nil
}
