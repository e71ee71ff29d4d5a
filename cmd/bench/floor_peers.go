package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// byHand deploys as a user does who has the docker command and nothing else: docker build, docker run.
type byHand struct {
	name, dir string
	buildKit  bool // the command can use it
}

// newByHand finds out what the docker command can do.
func newByHand(ctx context.Context, name, dir string) (*byHand, error) {
	h := &byHand{name: name, dir: dir, buildKit: true}
	if err := h.build(ctx, 0); err != nil {
		h.buildKit = false
		if err := h.build(ctx, 0); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (h *byHand) build(ctx context.Context, version int) error {
	value := "0"
	if h.buildKit {
		value = "1"
	}
	return command(ctx, h.dir, []string{"DOCKER_BUILDKIT=" + value}, "docker", "build", "--quiet", "--tag", h.tag(version), ".")
}

func (h *byHand) tag(version int) string { return fmt.Sprintf("%s:%d", h.name, version) }

func (h *byHand) container(version int) string { return fmt.Sprintf("%s-%d", h.name, version) }

// once deploys a version at a port of its own. The version of before is removed after that.
func (h *byHand) once(ctx context.Context, version int) (time.Duration, error) {
	address, err := freeAddress()
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	if err := writeVersion(h.dir, version); err != nil {
		return 0, err
	}
	if err := h.build(ctx, version); err != nil {
		return 0, err
	}
	err = command(ctx, h.dir, nil, "docker", "run", "--detach", "--name", h.container(version), "--publish", address+":"+samplePort, h.tag(version))
	if err != nil {
		return 0, err
	}
	at, err := firstAnswer(ctx, address, host, version)
	if err != nil {
		return 0, err
	}
	_ = command(ctx, h.dir, nil, "docker", "rm", "--force", h.container(version-1)) // there is none at first
	_ = command(ctx, h.dir, nil, "docker", "rmi", "--force", h.tag(version-1))
	return at.Sub(begun), nil
}

// composed deploys with docker-compose.
type composed struct{ name, dir, address string }

// newComposed writes its file, or returns nil where there is no docker-compose. Its images carry the run's name, since those of
// before keep no name of their own.
func newComposed(s *stage, run, dir string) (*composed, error) {
	if _, err := exec.LookPath("docker-compose"); errors.Is(err, exec.ErrNotFound) {
		return nil, nil
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	name := run + "-compose"
	file := fmt.Sprintf(`version: "3.8"
services:
  site:
    build: {context: ., labels: {%s: %s}}
    image: %s
    ports: ["%s:%s"]
`, runLabel, run, name, address, samplePort)
	if err := os.WriteFile(filepath.Join(dir, "docker-compose.yml"), []byte(file), 0o644); err != nil {
		return nil, err
	}
	c := &composed{name, dir, address}
	s.add(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // also after Ctrl-C
		defer cancel()
		_ = c.compose(ctx, "down", "--timeout", "1")
	})
	return c, nil
}

func (c *composed) compose(ctx context.Context, args ...string) error {
	return command(ctx, c.dir, nil, "docker-compose", append([]string{"--project-name", c.name}, args...)...)
}

// once lets it replace what runs.
func (c *composed) once(ctx context.Context, version int) (time.Duration, error) {
	begun := time.Now()
	if err := writeVersion(c.dir, version); err != nil {
		return 0, err
	}
	if err := c.compose(ctx, "up", "--detach", "--build"); err != nil {
		return 0, err
	}
	at, err := firstAnswer(ctx, c.address, host, version)
	return at.Sub(begun), err
}

// command runs a program in a folder, to its end.
func command(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
