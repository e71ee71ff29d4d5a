package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	docker "github.com/docker/docker/client"
)

// runLabel is on images that may lose their name while others are made.
const runLabel = "tinyforge.bench"

// openDocker connects to the engine of this machine, and thinks of a name for all that this run leaves there, which is removed
// when the stage is closed.
func openDocker(ctx context.Context, s *stage) (engine *docker.Client, name string, err error) {
	engine, err = docker.NewClientWithOpts(docker.FromEnv, docker.WithAPIVersionNegotiation())
	if err != nil {
		return nil, "", fmt.Errorf("open docker: %w", err)
	}
	s.add(func() { _ = engine.Close() })
	if _, err := engine.Ping(ctx); err != nil {
		return nil, "", fmt.Errorf("ping docker: %w", err)
	}
	name = "bench-" + strings.ToLower(rand.Text()[:8])
	s.add(func() { sweep(engine, name) })
	return engine, name, nil
}

// sweep removes all containers and images whose names begin so, and the networks, also after Ctrl-C. What somebody else removes
// meanwhile is no matter.
func sweep(engine *docker.Client, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	containers, _ := engine.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("name", "^/(tf-)?"+name))})
	for _, c := range containers {
		_ = engine.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
	}
	for _, arg := range []filters.KeyValuePair{filters.Arg("reference", name+"*"), filters.Arg("reference", "tinyforge/"+name+"*"), filters.Arg("label", runLabel+"="+name)} {
		images, _ := engine.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(arg)})
		for _, i := range images {
			_, _ = engine.ImageRemove(ctx, i.ID, image.RemoveOptions{Force: true, PruneChildren: true})
		}
	}
	networks, _ := engine.NetworkList(ctx, network.ListOptions{Filters: filters.NewArgs(filters.Arg("name", "^"+name))})
	for _, n := range networks {
		_ = engine.NetworkRemove(ctx, n.ID)
	}
}
