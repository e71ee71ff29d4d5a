package swarmtest

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"tinyforge/deploy/deploytest"
)

// registry keeps images in memory. The nodes reach it at the switch, and this machine's Docker at a loopback address, where
// Docker wants no TLS.
type registry struct {
	server   *http.Server
	loopback string // host:port
}

func serveRegistry(address string) (*registry, error) {
	outer, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve registry: %w", err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		_ = outer.Close()
		return nil, fmt.Errorf("serve registry: %w", err)
	}
	server := &http.Server{Handler: ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0))), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(outer) }()
	go func() { _ = server.Serve(inner) }()
	return &registry{server, inner.Addr().String()}, nil
}

func (r *registry) close() { _ = r.server.Close() }

// PushAt is where this machine's Docker reaches the registry.
func (c *Cluster) PushAt() string { return c.registry.loopback }

// Push pushes an image of this machine's Docker into the registry, as repository. It returns the name, by digest, at which
// the nodes pull it.
func (c *Cluster) Push(ctx context.Context, image, repository string) (string, error) {
	tag := c.registry.loopback + "/" + repository + ":pushed"
	if err := run(ctx, "docker", "tag", image, tag); err != nil {
		return "", err
	}
	defer func() { _ = run(context.WithoutCancel(ctx), "docker", "rmi", "--no-prune", tag) }()
	if err := run(ctx, "docker", "push", "--quiet", tag); err != nil {
		return "", err
	}
	ref, err := name.NewTag(tag, name.Insecure)
	if err != nil {
		return "", err
	}
	head, err := remote.Head(ref, remote.WithContext(ctx))
	if err != nil {
		return "", fmt.Errorf("find pushed image: %w", err)
	}
	return c.Registry + "/" + repository + "@" + head.Digest.String(), nil
}

// PushSample puts an image of the sample program into the registry, without this machine's Docker, as repository, with a
// default VERSION. It returns the name, by digest, at which the nodes pull it.
func (c *Cluster) PushSample(ctx context.Context, repository, version string) (string, error) {
	image, err := sampleImage(ctx, version)
	if err != nil {
		return "", fmt.Errorf("make image of the sample: %w", err)
	}
	digest, err := image.Digest()
	if err != nil {
		return "", err
	}
	ref, err := name.NewDigest(c.Registry+"/"+repository+"@"+digest.String(), name.Insecure)
	if err != nil {
		return "", err
	}
	return ref.String(), remote.Write(ref, image, remote.WithContext(ctx))
}

func sampleImage(ctx context.Context, version string) (v1.Image, error) {
	dir, err := os.MkdirTemp("", "tinyforge-sample-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "sampleapp")
	if err := deploytest.BuildSample(ctx, file, version); err != nil {
		return nil, err
	}
	binary, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	errs := []error{w.WriteHeader(&tar.Header{Name: "sampleapp", Mode: 0o755, Size: int64(len(binary))})}
	_, err = w.Write(binary)
	if err := errors.Join(append(errs, err, w.Close())...); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config.OS, config.Architecture, config.Config = "linux", runtime.GOARCH, v1.Config{Entrypoint: []string{"/sampleapp"}}
	return mutate.ConfigFile(image, config)
}
