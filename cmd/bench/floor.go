package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	docker "github.com/docker/docker/client"
	"github.com/docker/go-connections/nat"
	buildkit "github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"

	"tinyforge/deploy/deploytest"
)

// baseDockerfile makes an image of the sample program, which shows a file.
const baseDockerfile = `FROM scratch
COPY sampleapp /sampleapp
ENV VERSION_FILE=/version
ENTRYPOINT ["/sampleapp"]
`

// sampleDockerfile makes one of it and the file, as a program's image is made of its language's.
const sampleDockerfile = "FROM %s\nCOPY version /version\n"

const (
	samplePort = "8080"
	askAgain   = 2 * time.Millisecond
)

// sampleBase makes the image that others begin with, by a name that begins so.
func (s *stage) sampleBase(ctx context.Context, engine *docker.Client, name string) (image string, err error) {
	b := &bare{docker: engine, name: name + "-base", dir: filepath.Join(s.dir, "base")}
	if err := os.Mkdir(b.dir, 0o755); err != nil {
		return "", err
	}
	if err := deploytest.BuildSample(ctx, filepath.Join(b.dir, "sampleapp"), "0"); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(b.dir, "Dockerfile"), []byte(baseDockerfile), 0o644); err != nil {
		return "", err
	}
	return b.tag(0), b.build(ctx, 0)
}

// sampleFolder is a new folder of a site on that image, at version 0.
func (s *stage) sampleFolder(name, base string) (string, error) {
	dir := filepath.Join(s.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	dockerfile := fmt.Sprintf(sampleDockerfile, base)
	return dir, errors.Join(os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644), writeVersion(dir, 0))
}

// writeVersion changes the file that the site shows.
func writeVersion(dir string, version int) error {
	return os.WriteFile(filepath.Join(dir, "version"), []byte(strconv.Itoa(version)+"\n"), 0o644)
}

// firstAnswer waits for the first 200 of a version at an address. It asks again after a pause, on one connection, and on a new
// one where that fails.
func firstAnswer(ctx context.Context, address, host string, version int) (time.Time, error) {
	text := request("GET", "/", host, nil)
	var c *client
	defer func() {
		if c != nil {
			c.close()
		}
	}()
	last := "nothing"
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(askAgain) {
		if ctx.Err() != nil {
			return time.Time{}, ctx.Err()
		}
		if c == nil {
			var err error
			if c, err = (place{address: address}).dial(ctx); err != nil {
				last = err.Error()
				continue
			}
		}
		a, err := c.exchange(text)
		if err == nil && a.status == 200 && a.version == int64(version) {
			return time.Now(), nil
		}
		last = fmt.Sprintf("status %d, version %d, error %v", a.status, a.version, err)
		if err != nil || a.closes {
			c.close()
			c = nil
		}
	}
	return time.Time{}, fmt.Errorf("wait for version %d at %s: %s after a minute", version, address, last)
}

// bare deploys by the API of Docker alone, and does nothing that can be left out.
type bare struct {
	docker     *docker.Client
	name       string // of containers and images
	dir        string
	published  bool   // it is reached at a port of loopback, or else at the container's own address
	network    string // in which its containers are; "" means Docker's default one
	stopsFirst bool   // the version of before is stopped before the next one is created
}

// once deploys a version, and returns how long that took: the file is changed, the image built, a container created and started,
// and asked until it answers. The version of before is removed after that, and stopped before the container is created where that is the way.
func (b *bare) once(ctx context.Context, version int) (time.Duration, error) {
	begun := time.Now()
	if err := writeVersion(b.dir, version); err != nil {
		return 0, err
	}
	if err := b.build(ctx, version); err != nil {
		return 0, fmt.Errorf("build image: %w", err)
	}
	if b.stopsFirst {
		if err := b.docker.ContainerStop(ctx, b.container(version-1), container.StopOptions{}); err != nil && !errdefs.IsNotFound(err) {
			return 0, err
		}
	}
	address, err := b.run(ctx, version)
	if err != nil {
		return 0, err
	}
	at, err := firstAnswer(ctx, address, host, version)
	if err != nil {
		return 0, err
	}
	return at.Sub(begun), b.remove(ctx, version-1)
}

func (b *bare) tag(version int) string { return fmt.Sprintf("%s:%d", b.name, version) }

func (b *bare) container(version int) string { return fmt.Sprintf("%s-%d", b.name, version) }

func (b *bare) build(ctx context.Context, version int) error {
	kit, err := buildkit.New(ctx, "",
		buildkit.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return b.docker.DialHijack(ctx, "/grpc", "h2c", nil)
		}),
		buildkit.WithSessionDialer(func(ctx context.Context, proto string, meta map[string][]string) (net.Conn, error) {
			return b.docker.DialHijack(ctx, "/session", proto, meta)
		}))
	if err != nil {
		return err
	}
	defer kit.Close()
	files, err := fsutil.NewFS(b.dir)
	if err != nil {
		return err
	}
	_, err = kit.Solve(ctx, nil, buildkit.SolveOpt{
		Frontend:    "dockerfile.v0",
		LocalMounts: map[string]fsutil.FS{"context": files, "dockerfile": files},
		SharedKey:   b.name,
		Exports:     []buildkit.ExportEntry{{Type: "moby", Attrs: map[string]string{"name": b.tag(version)}}},
	}, nil)
	return err
}

// run starts a container, and returns where it can be reached.
func (b *bare) run(ctx context.Context, version int) (string, error) {
	config, hostConfig := &container.Config{Image: b.tag(version)}, &container.HostConfig{NetworkMode: container.NetworkMode(b.network)}
	port := nat.Port(samplePort + "/tcp")
	if b.published {
		config.ExposedPorts = nat.PortSet{port: {}}
		hostConfig.PortBindings = nat.PortMap{port: {{HostIP: "127.0.0.1"}}}
	}
	created, err := b.docker.ContainerCreate(ctx, config, hostConfig, nil, nil, b.container(version))
	if err != nil {
		return "", err
	}
	if err := b.docker.ContainerStart(ctx, created.ID, container.StartOptions{}); err != nil {
		return "", err
	}
	c, err := b.docker.ContainerInspect(ctx, created.ID)
	if err != nil {
		return "", err
	}
	if bound := c.NetworkSettings.Ports[port]; b.published && len(bound) > 0 {
		return net.JoinHostPort("127.0.0.1", bound[0].HostPort), nil
	}
	if n := c.NetworkSettings.Networks[cmp.Or(b.network, "bridge")]; !b.published && n != nil && n.IPAddress != "" {
		return net.JoinHostPort(n.IPAddress, samplePort), nil
	}
	return "", fmt.Errorf("the container %s has no address", b.container(version))
}

// remove removes a version, if it is there.
func (b *bare) remove(ctx context.Context, version int) error {
	if version < 0 {
		return nil
	}
	err := b.docker.ContainerRemove(ctx, b.container(version), container.RemoveOptions{Force: true})
	if err == nil || errdefs.IsNotFound(err) {
		_, err = b.docker.ImageRemove(ctx, b.tag(version), image.RemoveOptions{PruneChildren: true})
	}
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}
