package docker

import (
	"context"
	"strconv"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
)

const (
	tailLines = 50
	// tailParts is how many entries we ask for: the engine stores a long line as several.
	tailParts = 4 * tailLines
)

// tail returns the last lines of both output streams, in the engine's order, which is not exact between the two.
func (e *Engine) tail(ctx context.Context, id string) ([]string, error) {
	logs, err := e.docker.ContainerLogs(ctx, id, container.LogsOptions{
		ShowStdout: true,
		ShowStderr: true,
		Tail:       strconv.Itoa(tailParts),
	})
	if err != nil {
		return nil, err
	}
	defer logs.Close()
	var lines []string
	add := func(line string) { lines = append(lines, line) }
	stdout, stderr := &splitter{emit: add}, &splitter{emit: add}
	if _, err := stdcopy.StdCopy(stdout, stderr, logs); err != nil {
		return nil, err
	}
	stdout.flush()
	stderr.flush()
	return lines[max(0, len(lines)-tailLines):], nil
}
