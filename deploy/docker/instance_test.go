package docker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tinyforge/deploy"
)

func TestStopKillsAfterTheTimeout(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	e.cfg.StopTimeout = time.Second
	r := release(e, toolImage(t, e, "hold"))
	start(t, e, r)
	awaitLines(t, e, r.ID, func(lines []string) bool { return slices.Contains(lines, "holding") })
	if err := e.Stop(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	if in := inspect(t, e, r.ID); in.State != deploy.Exited || in.ExitCode != 137 || in.OOMKilled {
		t.Errorf("killed it is %+v", in)
	}
}

func TestInspectTellsWantOfMemory(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	r := release(e, toolImage(t, e, "eat"))
	r.Memory = 32 << 20
	start(t, e, r)
	await(t, e, r.ID, func(in deploy.Instance) bool {
		return in.OOMKilled && in.State == deploy.Exited && in.ExitCode == 137 && in.Restarts > 0
	})
}

func TestTail(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	r := release(e, toolImage(t, e, "flood"))
	start(t, e, r)
	lines := awaitLines(t, e, r.ID, func(lines []string) bool { return slices.Contains(lines, "done") })
	if len(lines) != tailLines {
		t.Errorf("tail has %d lines", len(lines))
	}
	long := lines[slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "x") })]
	if len(long) != maxLine+len("…") {
		t.Errorf("the long line has %d bytes", len(long))
	}
	for _, want := range []string{"line 58", "line 59"} { // one of each output
		if !slices.Contains(lines, want) {
			t.Errorf("tail lacks %q: %q", want, lines)
		}
	}
}
