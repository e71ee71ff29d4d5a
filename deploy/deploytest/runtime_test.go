package deploytest_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

func TestRuntimeFake(t *testing.T) {
	var n atomic.Int64
	rt, fresh := deploytest.NewRuntime(t, nil), func(*testing.T) db.Release { return release(n.Add(1)) }
	deploytest.ExerciseRuntime(t, rt, fresh)
	deploytest.ExerciseRights(t, rt, fresh)
}

func TestRuntimeFakeHook(t *testing.T) {
	broken := errors.New("broken")
	rt := deploytest.NewRuntime(t, nil)
	for point, want := range map[string]deploy.State{"runtime.start:before": deploy.Missing, "runtime.start:after": deploy.Running} {
		r := release(1)
		if _, err := rt.With(deploytest.FailAt(point, broken)).Start(t.Context(), r); !errors.Is(err, broken) {
			t.Errorf("%s: error is %v", point, err)
		}
		if in, _ := rt.Inspect(t.Context(), r.ID); in.State != want {
			t.Errorf("%s: release is %+v, want %s", point, in, want)
		}
		if err := rt.Remove(t.Context(), r.ID); err != nil {
			t.Error(err)
		}
	}
}

func TestRuntimeFakeMisbehaves(t *testing.T) {
	rt := deploytest.NewRuntime(t, nil)
	r := release(1)
	before, err := rt.Start(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if code := status(t, before.Upstream, "/up"); code != http.StatusOK {
		t.Errorf("/up answers %d", code)
	}
	rt.Serve(r.ID, http.NotFoundHandler())
	if code := status(t, before.Upstream, "/up"); code != http.StatusNotFound {
		t.Errorf("after Serve /up answers %d", code)
	}
	rt.Crash(r.ID, 7)
	after, _ := rt.Inspect(t.Context(), r.ID)
	if after.State != deploy.Running || after.Restarts != 1 || after.Upstream.Addr == before.Upstream.Addr {
		t.Errorf("crashed release is %+v", after)
	}
	rt.Print(r.ID, "alas")
	rt.Exit(r.ID, 7)
	ended, _ := rt.Inspect(t.Context(), r.ID)
	if ended.State != deploy.Exited || ended.ExitCode != 7 || ended.Restarts != 2 {
		t.Errorf("ended release is %+v", ended)
	}
	if lines, err := rt.Tail(t.Context(), r.ID); err != nil || len(lines) == 0 || lines[len(lines)-1] != "alas" {
		t.Errorf("its log is %q, %v", lines, err)
	}
}

func release(n int64) db.Release {
	return db.Release{
		ID:           db.ReleaseID(fmt.Sprintf("tf-web-%d", n)),
		WorkloadID:   5,
		Workload:     "web",
		DeploymentID: n,
		Port:         8080,
	}
}

func status(t *testing.T, up deploy.Upstream, path string) int {
	t.Helper()
	answer, err := http.Get("http://" + up.Addr + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}
