package docker

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/pkg/stdcopy"
)

// TestTailTakesNoMoreThanItMay: a node that sends without end takes neither memory nor time. It is not parallel: it counts memory.
func TestTailTakesNoMoreThanItMay(t *testing.T) {
	var frame bytes.Buffer
	if _, err := stdcopy.NewStdWriter(&frame, stdcopy.Stdout).Write(bytes.Repeat([]byte("\n"), 32<<10)); err != nil {
		t.Fatal(err)
	}
	sent := strings.NewReader(strings.Repeat(frame.String(), 1024))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	lines, err := readTail(io.NopCloser(sent))
	runtime.ReadMemStats(&after)
	if err != nil || len(lines) != tailLines {
		t.Errorf("%d lines, %v", len(lines), err)
	}
	if read := sent.Size() - int64(sent.Len()); read > tailMost {
		t.Errorf("it read %d bytes", read)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > tailMost {
		t.Errorf("it took %d bytes of memory", took)
	}
}

func TestTailIsTheLast(t *testing.T) {
	t.Parallel()
	var logs bytes.Buffer
	for i := range 5 * tailLines {
		if _, err := io.WriteString(stdcopy.NewStdWriter(&logs, stdcopy.Stderr), strings.Repeat("x", i)+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	lines, err := readTail(io.NopCloser(&logs))
	if err != nil || len(lines) != tailLines || len(lines[0]) != 4*tailLines || len(lines[tailLines-1]) != 5*tailLines-1 {
		t.Errorf("%d lines, %v", len(lines), err)
	}
}

// TestWhatANodeIsCalledIsCleaned: it chooses that itself.
func TestWhatANodeIsCalledIsCleaned(t *testing.T) {
	t.Parallel()
	v := &view{
		tasks: []swarm.Task{{NodeID: "n", Status: swarm.TaskStatus{Err: "no\x00pe"}}},
		nodes: map[string]swarm.Node{"n": {Description: swarm.NodeDescription{Hostname: strings.Repeat("long\n\x00\xff", maxLine)}}},
	}
	if text := v.why(""); !strings.HasPrefix(text, "on long \uFFFDlong ") || len(text) > maxLine || strings.ContainsAny(text, "\n\x00") || !utf8.ValidString(text) {
		t.Errorf("it is %d bytes, %.60q", len(text), text)
	}
}
