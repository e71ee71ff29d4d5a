package compose

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"unicode"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"tinyforge/deploy/redact"
)

const tailLines = 50

// tail returns the last lines of both output streams, none when they cannot be read.
func (r *Runtime) tail(ctx context.Context, id string) []string {
	logs, err := r.docker.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(tailLines)})
	if err != nil {
		return nil
	}
	defer logs.Close()
	var text bytes.Buffer
	if _, err := stdcopy.StdCopy(&text, &text, logs); err != nil { // as it is for one with a terminal
		return nil
	}
	var lines []string
	for line := range strings.Lines(text.String()) {
		line = strings.Map(printable, strings.ToValidUTF8(strings.TrimRight(line, "\r\n"), "\uFFFD"))
		if len(line) > redact.MostLine {
			line = strings.ToValidUTF8(line[:redact.MostLine], "") + redact.Cut
		}
		lines = append(lines, line)
	}
	return lines[max(0, len(lines)-tailLines):]
}

// printable drops what would move a cursor.
func printable(r rune) rune {
	if r != '\t' && unicode.IsControl(r) {
		return -1
	}
	return r
}
