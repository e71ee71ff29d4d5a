package docker

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"

	"tinyforge/db"
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

// TestListLooksAtNoContainer but at one of which the list says that it is being removed: Docker says so for long of one that it
// failed to remove.
func TestListLooksAtNoContainer(t *testing.T) {
	t.Parallel()
	e := testEngine(t)
	image := sampleImage(t, e)
	running, paused, stopped := release(e, image), release(e, image), release(e, image)
	up := start(t, e, running).Upstream
	start(t, e, paused)
	start(t, e, stopped)
	if err := errors.Join(e.docker.ContainerPause(t.Context(), string(paused.ID)), e.Stop(t.Context(), stopped.ID)); err != nil {
		t.Fatal(err)
	}
	want := map[db.ReleaseID]deploy.State{running.ID: deploy.Running, paused.ID: deploy.Exited, stopped.ID: deploy.Exited}
	var looked atomic.Int64
	var inRemoval atomic.Bool
	f := newFront(t, e, func(w http.ResponseWriter, r *http.Request) bool {
		if under(r, "/containers/json") && inRemoval.Load() {
			all, err := e.find(r.Context(), filters.Arg("label", labelInstance+"="+e.cfg.Instance))
			for i := range all {
				all[i].State = container.StateRemoving
			}
			w.Header().Set("Content-Type", "application/json")
			if err := errors.Join(err, json.NewEncoder(w).Encode(all)); err != nil {
				t.Error(err)
			}
			return true
		}
		if under(r, "/containers/tf-") {
			looked.Add(1)
		}
		return false
	}).engine(e)
	for _, looks := range []int64{0, 3} {
		inRemoval.Store(looks > 0)
		list, err := f.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := map[db.ReleaseID]deploy.State{}
		for _, in := range list {
			got[in.ID] = in.State
			if (in.ID == running.ID && in.Upstream != up) || (in.ID != running.ID && in.Upstream != deploy.Upstream{}) {
				t.Errorf("listed is %+v", in)
			}
		}
		if n := looked.Load(); !maps.Equal(got, want) || n != looks {
			t.Errorf("listed are %v, with %d looks at containers, want %v, with %d", got, n, want, looks)
		}
	}
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
