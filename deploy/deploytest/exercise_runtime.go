package deploytest

import (
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

// ExerciseRuntime is the suite that every deploy.Runtime passes. release returns a release that nobody has used yet, whose
// image is the sample program; the suite sets its Env and removes it. The parts run at the same time, after the caller has
// returned.
func ExerciseRuntime(t *testing.T, rt deploy.Runtime, release func(t *testing.T) db.Release) {
	s := &runtimeSuite{rt, release}
	for _, part := range []struct {
		name string
		test func(t *testing.T)
	}{
		{"absent", s.absent},
		{"start", s.start},
		{"stop and start again", s.stop},
		{"replace", s.replace},
		{"remove", s.remove},
		{"list", s.list},
		{"crash", s.crash},
		{"at the same time", s.concurrent},
		{"watch", s.watch},
		{"cancelled", s.cancelled},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			part.test(t)
		})
	}
}

type runtimeSuite struct {
	rt      deploy.Runtime
	release func(t *testing.T) db.Release
}

func (s *runtimeSuite) absent(t *testing.T) {
	id := s.release(t).ID
	if in := s.inspect(t, id); in.State != deploy.Missing || in.ID != id || in.Upstream != (deploy.Upstream{}) {
		t.Errorf("absent release is %+v", in)
	}
	if lines := s.tail(t, id); len(lines) > 0 {
		t.Errorf("absent release said %q", lines)
	}
	ok(t, s.rt.Stop(t.Context(), id))
	ok(t, s.rt.Remove(t.Context(), id))
}

func (s *runtimeSuite) start(t *testing.T) {
	r := s.sample(t, nil)
	first := s.mustStart(t, r)
	if first.State != deploy.Running || first.WorkloadID != r.WorkloadID || first.DeploymentID != r.DeploymentID || first.Restarts != 0 {
		t.Errorf("started release is %+v", first)
	}
	if want := s.replicas(r); first.Replicas != want {
		t.Errorf("it is to run %d times, want %d", first.Replicas, want)
	}
	up := first.Upstream
	if up.Name != string(r.ID) || up.Port != r.Port || up.Addr == "" {
		t.Errorf("upstream is %+v", up)
	}
	s.serves(t, up, "one")
	if again := s.mustStart(t, r); again.Upstream != up {
		t.Errorf("starting again moved it from %+v to %+v", up, again.Upstream)
	}
	if in := s.inspect(t, r.ID); in.State != deploy.Running || in.Upstream != up {
		t.Errorf("inspected release is %+v", in)
	}
	if lines := s.tail(t, r.ID); !slices.ContainsFunc(lines, containing("sampleapp one: listening")) {
		t.Errorf("its log is %q", lines)
	}
}

func (s *runtimeSuite) stop(t *testing.T) {
	r := s.sample(t, nil)
	s.serves(t, s.mustStart(t, r).Upstream, "one")
	ok(t, s.rt.Stop(t.Context(), r.ID))
	ok(t, s.rt.Stop(t.Context(), r.ID))
	in := s.inspect(t, r.ID)
	if in.State != deploy.Exited || in.ExitCode != 0 || in.Restarts != 0 || in.Upstream != (deploy.Upstream{}) {
		t.Errorf("stopped release is %+v", in)
	}
	if lines := s.tail(t, r.ID); !slices.ContainsFunc(lines, containing("listening")) {
		t.Errorf("stopped release lost its log: %q", lines)
	}
	s.serves(t, s.mustStart(t, r).Upstream, "one")
}

func (s *runtimeSuite) replace(t *testing.T) {
	r := s.sample(t, nil)
	s.serves(t, s.mustStart(t, r).Upstream, "one")
	r.Env["VERSION"] = "two"
	s.serves(t, s.mustStart(t, r).Upstream, "two")
	if n := s.listed(t, r.ID); len(n) != 1 {
		t.Errorf("after replacing it there are %+v", n)
	}
}

// replicas is what the runtime is to say of a release that runs once.
func (s *runtimeSuite) replicas(r db.Release) int {
	if scaler, ok := s.rt.(deploy.Scaler); ok && scaler.Scales(r) {
		return 1
	}
	return 0
}

func (s *runtimeSuite) remove(t *testing.T) {
	r := s.sample(t, nil)
	s.mustStart(t, r)
	ok(t, s.rt.Remove(t.Context(), r.ID))
	ok(t, s.rt.Remove(t.Context(), r.ID))
	if in := s.inspect(t, r.ID); in.State != deploy.Missing {
		t.Errorf("removed release is %+v", in)
	}
	s.serves(t, s.mustStart(t, r).Upstream, "one")
}

func (s *runtimeSuite) list(t *testing.T) {
	running, stopped := s.sample(t, nil), s.sample(t, nil)
	up := s.mustStart(t, running).Upstream
	s.mustStart(t, stopped)
	ok(t, s.rt.Stop(t.Context(), stopped.ID))
	for _, want := range []deploy.Instance{
		{ID: running.ID, WorkloadID: running.WorkloadID, DeploymentID: running.DeploymentID, State: deploy.Running, Replicas: s.replicas(running), Upstream: up},
		{ID: stopped.ID, WorkloadID: stopped.WorkloadID, DeploymentID: stopped.DeploymentID, State: deploy.Exited, Replicas: s.replicas(stopped)},
	} {
		if got := s.listed(t, want.ID); len(got) != 1 || got[0] != want {
			t.Errorf("listed %+v, want %+v", got, want)
		}
	}
	ok(t, s.rt.Remove(t.Context(), stopped.ID))
	if got := s.listed(t, stopped.ID); len(got) != 0 {
		t.Errorf("removed release is listed: %+v", got)
	}
}

// crash asks that a release which ends by itself shows it: with a count, and with its code while it does not run.
func (s *runtimeSuite) crash(t *testing.T) {
	r := s.sample(t, map[string]string{"EXIT_AFTER": "0s", "EXIT_CODE": "3"})
	s.mustStart(t, r)
	s.eventually(t, r.ID, func(in deploy.Instance) bool {
		return in.State == deploy.Exited && in.ExitCode == 3 && in.Restarts > 0 && in.Upstream == (deploy.Upstream{}) &&
			slices.ContainsFunc(s.tail(t, r.ID), containing("will exit with 3"))
	})
	ok(t, s.rt.Stop(t.Context(), r.ID))
	if in := s.inspect(t, r.ID); in.State != deploy.Exited || in.ExitCode != 3 {
		t.Errorf("stopped after a crash it is %+v", in)
	}
}

func (s *runtimeSuite) concurrent(t *testing.T) {
	r := s.sample(t, nil)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := s.rt.Start(t.Context(), r); err != nil {
				t.Errorf("start: %v", err)
			}
		})
	}
	all.Wait()
	if got := s.listed(t, r.ID); len(got) != 1 || got[0].State != deploy.Running {
		t.Errorf("four starts at the same time made %+v", got)
	}
	for range 4 {
		all.Go(func() {
			if err := s.rt.Remove(t.Context(), r.ID); err != nil {
				t.Errorf("remove: %v", err)
			}
		})
	}
	all.Wait()
	if in := s.inspect(t, r.ID); in.State != deploy.Missing {
		t.Errorf("after four removals at the same time it is %+v", in)
	}
}

func (s *runtimeSuite) watch(t *testing.T) {
	r, stopped, removed := s.sample(t, nil), s.sample(t, nil), s.sample(t, nil)
	s.mustStart(t, stopped) // before, so that only their ends can be told of
	s.mustStart(t, removed)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen, left := make(chan db.ReleaseID, 100), make(chan error, 1)
	go func() { left <- s.rt.Watch(ctx, func(id db.ReleaseID) { seen <- id }) }()
	if id := <-seen; id != "" {
		t.Errorf("the first call is %q, want none by name", id)
	}
	s.mustStart(t, r)
	await(ctx, t, seen, r.ID)
	ok(t, s.rt.Stop(t.Context(), stopped.ID))
	await(ctx, t, seen, stopped.ID)
	if in := s.inspect(t, stopped.ID); in.State != deploy.Exited || in.Upstream != (deploy.Upstream{}) {
		t.Errorf("told of its end, it is %+v", in)
	}
	ok(t, s.rt.Remove(t.Context(), removed.ID))
	await(ctx, t, seen, removed.ID)
	ok(t, s.rt.Stop(t.Context(), r.ID))
	for len(seen) > 0 {
		<-seen
	}
	s.mustStart(t, r)
	await(ctx, t, seen, r.ID)
	cancel()
	ok(t, <-left)
}

func (s *runtimeSuite) cancelled(t *testing.T) {
	r := s.sample(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.rt.Start(ctx, r); err == nil {
		t.Error("Start does not mind that it is cancelled")
	}
	if _, err := s.rt.Inspect(ctx, r.ID); err == nil {
		t.Error("Inspect does not mind that it is cancelled")
	}
	if _, err := s.rt.Tail(ctx, r.ID); err == nil {
		t.Error("Tail does not mind that it is cancelled")
	}
	if in := s.inspect(t, r.ID); in.State != deploy.Missing {
		t.Errorf("a cancelled Start made %+v", in)
	}
}

func (s *runtimeSuite) sample(t *testing.T, env map[string]string) db.Release {
	t.Helper()
	r := s.release(t)
	r.Env = map[string]string{"VERSION": "one"}
	maps.Copy(r.Env, env)
	t.Cleanup(func() {
		if err := s.rt.Remove(context.WithoutCancel(t.Context()), r.ID); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return r
}

func (s *runtimeSuite) mustStart(t *testing.T, r db.Release) deploy.Instance {
	t.Helper()
	in, err := s.rt.Start(t.Context(), r)
	ok(t, err)
	return in
}

func (s *runtimeSuite) inspect(t *testing.T, id db.ReleaseID) deploy.Instance {
	t.Helper()
	in, err := s.rt.Inspect(t.Context(), id)
	ok(t, err)
	return in
}

func (s *runtimeSuite) tail(t *testing.T, id db.ReleaseID) []string {
	t.Helper()
	lines, err := s.rt.Tail(t.Context(), id)
	ok(t, err)
	return lines
}

func (s *runtimeSuite) listed(t *testing.T, id db.ReleaseID) []deploy.Instance {
	t.Helper()
	all, err := s.rt.List(t.Context())
	ok(t, err)
	return slices.DeleteFunc(all, func(in deploy.Instance) bool { return in.ID != id })
}

// eventually polls, for what a container does by itself sends no signal.
func (s *runtimeSuite) eventually(t *testing.T, id db.ReleaseID, want func(deploy.Instance) bool) {
	t.Helper()
	poll(t, func() (string, bool) {
		in := s.inspect(t, id)
		return "release is " + string(in.State), want(in)
	})
}

// serves waits until the upstream answers the version.
func (s *runtimeSuite) serves(t *testing.T, up deploy.Upstream, version string) {
	t.Helper()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	poll(t, func() (string, bool) {
		answer, err := client.Get("http://" + up.Addr + "/")
		if err != nil {
			return err.Error(), false
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			return err.Error(), false
		}
		return "it answers " + string(body), strings.TrimSpace(string(body)) == version
	})
}

func poll(t *testing.T, try func() (seen string, done bool)) {
	t.Helper()
	deadline, tick := time.After(30*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for {
		seen, done := try()
		if done {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("waited in vain: %s", seen)
		case <-tick.C:
		}
	}
}

func await(ctx context.Context, t *testing.T, seen <-chan db.ReleaseID, want db.ReleaseID) {
	t.Helper()
	for {
		select {
		case id := <-seen:
			if id == want {
				return
			}
		case <-ctx.Done():
			t.Fatalf("Watch did not tell of %s", want)
		}
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func containing(text string) func(string) bool {
	return func(line string) bool { return strings.Contains(line, text) }
}
