package docker

import (
	"context"
	"io"
	"strconv"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"tinyforge/db"
)

const (
	tailLines = 50
	// tailParts is how many entries we ask for: the engine stores a long line as several.
	tailParts = 4 * tailLines
	// tailMost is what is read of them, in bytes: who answers for a node of a Swarm may be anybody.
	tailMost = 4 << 20
)

// Tail implements deploy.Runtime: at most 50 lines of at most 8 KiB. Where there are none, Docker's word on why the container
// did not start stands for them.
func (e *Engine) Tail(ctx context.Context, id db.ReleaseID) ([]string, error) {
	c, err := e.ours(ctx, id)
	if err != nil || c == nil {
		return nil, e.explain("inspect release "+string(id), err)
	}
	lines, err := e.tail(ctx, c.ID)
	if err != nil && !errdefs.IsNotFound(err) {
		return nil, e.explain("read logs of release "+string(id), err)
	}
	if len(lines) == 0 && c.State.Error != "" {
		lines = []string{cleanLine(c.State.Error)}
	}
	return lines, nil
}

// tail returns the last lines of both output streams, in the engine's order, which is not exact between the two.
func (e *Engine) tail(ctx context.Context, id string) ([]string, error) {
	logs, err := e.docker.ContainerLogs(ctx, id, lastLines())
	if err != nil {
		return nil, err
	}
	return readTail(logs)
}

func lastLines() container.LogsOptions {
	return container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(tailParts)}
}

// readTail closes logs. Of more than tailMost bytes it returns the last lines of what it read.
func readTail(logs io.ReadCloser) ([]string, error) {
	defer logs.Close()
	var lines []string
	add := func(line string) {
		if lines = append(lines, line); len(lines) == 2*tailLines {
			lines = append(lines[:0], lines[tailLines:]...)
		}
	}
	stdout, stderr := &splitter{emit: add}, &splitter{emit: add}
	if _, err := stdcopy.StdCopy(stdout, stderr, io.LimitReader(logs, tailMost)); err != nil {
		return nil, err
	}
	stdout.flush()
	stderr.flush()
	return lines[max(0, len(lines)-tailLines):], nil
}
