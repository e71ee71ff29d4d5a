// Package docker runs releases on a Docker engine, builds their images with its BuildKit and pulls them from registries.
// It is the only importer of the Docker SDK and of BuildKit.
package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docker/docker/client"
)

// Config says which engine to use and how.
type Config struct {
	Host        string        // "unix:///var/run/docker.sock"; "" means DOCKER_HOST, or else the platform's default
	Instance    string        // which Tinyforge this is; containers that carry another name are never touched
	Network     string        // the network that joins all releases; "" means "tinyforge"
	StopTimeout time.Duration // from SIGTERM to SIGKILL, in whole seconds; 0 means 10 s
	Log         *slog.Logger  // nil means slog.Default()
	Registry    *Registry     // where Push sends images; nil for nowhere
	HashKey     []byte        // secret; hides the names that Push gives. With another one a service with secret files has its tasks replaced, one by one, at its next Start
}

// Engine is a deploy.Runtime on one Docker engine: a release is one container, whose name, and name on the network, is the
// release's ID. It also builds and pulls images. It is safe for concurrent use, and so are several processes on one
// engine. Engines from 20.10 on are supported.
//
// An error whose text helps the user (Docker is not reachable, the disk is full, the image is gone) is a *deploy.Failure.
type Engine struct {
	docker *client.Client
	cfg    Config

	networkMu sync.Mutex // one ensureNetwork at a time
	pulledMu  sync.Mutex // what was pulled is marked, or removed

	facts atomic.Pointer[facts] // nil while nobody follows the events

	storedSaid atomic.Bool // that the registry deletes nothing for us
}

// New returns an Engine. It makes no network call: whether Docker is there shows at the first use, and an engine that
// comes back later is found again.
func New(cfg Config) (*Engine, error) {
	if cfg.Instance == "" {
		return nil, errors.New("configure docker: the instance has no name")
	}
	cfg.Network = cmp.Or(cfg.Network, "tinyforge")
	if slices.Contains([]string{"host", "none", "bridge", "default"}, cfg.Network) {
		return nil, fmt.Errorf("configure docker: network %q is Docker's own and gives containers no names; choose another", cfg.Network)
	}
	cfg.StopTimeout = cmp.Or(cfg.StopTimeout, 10*time.Second)
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	opts := []client.Opt{client.FromEnv, client.WithAPIVersionNegotiation(), client.WithUserAgent("tinyforge")}
	if cfg.Host != "" {
		opts = append(opts, client.WithHost(cfg.Host))
	}
	docker, err := client.NewClientWithOpts(opts...)
	if err != nil {
		return nil, fmt.Errorf("configure docker: %w", err)
	}
	return &Engine{docker: docker, cfg: cfg}, nil
}

// Close gives idle connections back. The Engine remains usable.
func (e *Engine) Close() error { return e.docker.Close() }

// Ping tells whether the engine answers.
func (e *Engine) Ping(ctx context.Context) error {
	if _, err := e.docker.Ping(ctx); err != nil {
		return fmt.Errorf("ping docker: %w", err)
	}
	return nil
}

// Version asks which version the engine is.
func (e *Engine) Version(ctx context.Context) (string, error) {
	v, err := e.docker.ServerVersion(ctx)
	if err != nil {
		return "", fmt.Errorf("ask docker for its version: %w", err)
	}
	return v.Version, nil
}
