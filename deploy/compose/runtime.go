package compose

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/flags"
	"github.com/docker/compose/v5/pkg/api"
	"github.com/docker/compose/v5/pkg/compose"
	"github.com/moby/moby/client"
	"github.com/sirupsen/logrus"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Config says which engine to use and how.
type Config struct {
	Host      string        // as for the inner runtime
	Instance  string        // which Tinyforge this is; projects that carry another name are never touched
	Network   string        // the network that joins all releases; "" means "tinyforge"
	ConfigDir string        // takes the place of ~/.docker, which is not read; it need not exist
	Patience  time.Duration // for which the services of a stack may take to get ready; 0 means 5 min
	Stays     time.Duration // for which a service without a healthcheck must be seen to run; 0 means a second
	Log       *slog.Logger  // nil means slog.Default()
}

// Inner is the runtime of releases that are one container.
type Inner interface {
	deploy.Runtime
	// EnsureNetwork makes sure that the network that joins all releases exists.
	EnsureNetwork(ctx context.Context) error
}

// Runtime is a deploy.Runtime that runs stacks, and leaves all other releases to an inner one. It is safe for concurrent
// use.
//
// A workload's stack is one Compose project over all its releases, changed in place: what did not change goes on, and
// volumes last. One release owns it at a time: that of the routed service's container or, where there is none, the highest
// that any container names. A release that does not own its stack, or no more, is Missing; its last lines are told as long
// as a container of it is there.
type Runtime struct {
	inner   Inner
	docker  client.APIClient
	compose api.Compose
	cfg     Config
	locks   locks
}

// New returns a Runtime. It makes no network call. The Docker libraries' own log, which goes to stderr, is silenced.
func New(cfg Config, inner Inner) (*Runtime, error) {
	if cfg.Instance == "" || cfg.ConfigDir == "" {
		return nil, errors.New("configure compose: the instance or the config folder has no name")
	}
	cfg.Network = cmp.Or(cfg.Network, "tinyforge")
	cfg.Patience = cmp.Or(cfg.Patience, 5*time.Minute)
	cfg.Stays = cmp.Or(cfg.Stays, time.Second)
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	logrus.SetOutput(io.Discard)
	opts := []client.Opt{client.FromEnv, client.WithUserAgent("tinyforge")}
	if cfg.Host != "" {
		opts = append(opts, client.WithHost(cfg.Host))
	}
	docker, err := client.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("configure compose: %w", err)
	}
	service, err := newService(docker, cfg.ConfigDir)
	if err != nil {
		return nil, fmt.Errorf("configure compose: %w", err)
	}
	return &Runtime{inner: inner, docker: docker, compose: service, cfg: cfg}, nil
}

// newService returns Compose, which says nothing, asks nobody, and destroys no volume to change it.
func newService(docker client.APIClient, configDir string) (api.Compose, error) {
	none := io.NopCloser(strings.NewReader(""))
	cli, err := command.NewDockerCli(command.WithAPIClient(docker), command.WithInputStream(none),
		command.WithOutputStream(io.Discard), command.WithErrorStream(io.Discard))
	if err != nil {
		return nil, err
	}
	options := flags.NewClientOptions()
	options.ConfigDir, options.Hosts, options.LogLevel = configDir, []string{docker.DaemonHost()}, "panic"
	if err := cli.Initialize(options); err != nil {
		return nil, err
	}
	return compose.NewComposeService(cli, compose.WithStreams(io.Discard, io.Discard, none),
		compose.WithPrompt(func(string, bool) (bool, error) { return false, nil }))
}

// Ready implements deploy.Runtime: of a stack, too, only the images can be missing.
func (r *Runtime) Ready(ctx context.Context, release db.Release) error {
	return r.inner.Ready(ctx, release)
}

// Close gives idle connections back.
func (r *Runtime) Close() error { return r.docker.Close() }

// locks keep one change of a project at a time. The zero value is ready.
type locks struct{ held sync.Map }

// lock waits until nobody changes the project, or ctx is done.
func (l *locks) lock(ctx context.Context, project string) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	value, _ := l.held.LoadOrStore(project, make(chan struct{}, 1))
	turn := value.(chan struct{})
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// projectOf is the project of a release that is a stack: "tfstack-web" for tf-web-17.
func projectOf(id db.ReleaseID) string {
	name := strings.TrimPrefix(string(id), "tf-")
	return projectName(name[:max(0, strings.LastIndexByte(name, '-'))])
}
