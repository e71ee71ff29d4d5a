package docker

import (
	"strings"
	"testing"

	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/swarmtest"
)

// deaf is what Swarm tells of a release when another manager leads: not on which ports its tasks answer.
func deaf(t *testing.T, s *Swarm, id db.ReleaseID) *view {
	t.Helper()
	v, err := s.look(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for i := range v.tasks {
		v.tasks[i].Status.PortStatus.Ports = nil
	}
	return v
}

// TestPortsOutliveTheManager: and the Tinyforge that was told of them. Where nobody was, the release runs all the same.
func TestPortsOutliveTheManager(t *testing.T) {
	t.Parallel()
	s, _, image := testSwarm(t)
	r := swarmRelease(s, image)
	r.Replicas = 2
	before := mustStart(t, s, r)
	v := deaf(t, NewSwarm(s.engine, s.cfg), r.ID)
	if in := v.instance(r.ID); in != before {
		t.Errorf("it is %+v, and was %+v", in, before)
	}
	delete(v.config.Spec.Labels, labelTask+v.tasks[0].ID)
	spec := v.service.Spec
	spec.Labels = s.engine.labels(r)
	if in := v.instance(r.ID); in.State != deploy.Running || len(in.Upstream.Addrs()) != 1 || in.Elsewhere == "" {
		t.Errorf("where one port is not known it is %+v", in)
	}
	if rolls, err := s.change(t.Context(), v, spec); err != nil || rolls {
		t.Errorf("where one port is not known it is replaced: %t, %v", rolls, err)
	}
	delete(v.config.Spec.Labels, labelTask+v.tasks[1].ID)
	if in := v.instance(r.ID); in.State != deploy.Running || in.Upstream.Addr != "" {
		t.Errorf("where no port is known it is %+v", in)
	}
	r.Replicas = 3
	scaled := spec
	scaled.Labels = s.engine.labels(r)
	_, err := s.change(t.Context(), v, scaled)
	if text := failure(t, err); !strings.Contains(text, "on which ports") {
		t.Errorf("scaled where no port is known: %q", text)
	}
	if rolls, err := s.change(t.Context(), v, spec); err != nil || !rolls {
		t.Errorf("where no port is known, and it is to be started: %t, %v", rolls, err)
	}
}

// crash kills the container of a task, and waits until Swarm says so.
func crash(t *testing.T, s *Swarm, cluster *swarmtest.Cluster, task swarm.Task) {
	t.Helper()
	for _, node := range cluster.Nodes {
		e, err := New(Config{Host: node.Host, Instance: "any"})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		_ = e.docker.ContainerKill(t.Context(), task.Status.ContainerStatus.ContainerID, "KILL") // it is on one of them
	}
	poll(t, func() deploy.Instance {
		in, err := s.Inspect(t.Context(), db.ReleaseID(task.Annotations.Name))
		if err != nil {
			t.Fatal(err)
		}
		return in
	}, func(in deploy.Instance) bool { return in.Restarts > 0 })
}

// TestScaledAfterACrash: what had ended before says nothing of the change; what ends after it does.
func TestScaledAfterACrash(t *testing.T) {
	t.Parallel()
	s, cluster, image := testSwarm(t)
	r := swarmRelease(s, image)
	mustStart(t, s, r)
	v, err := s.look(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	task := v.tasks[0]
	task.Annotations.Name = string(r.ID)
	crash(t, s, cluster, task)
	r.Replicas = 2
	if in := mustStart(t, s, r); in.Restarts != 0 || len(in.Upstream.Addrs()) != 2 {
		t.Errorf("scaled after a crash it is %+v", in)
	}
	if v, err = s.look(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	for _, task := range v.tasks {
		if v.runs(task) {
			task.Annotations.Name = string(r.ID)
			crash(t, s, cluster, task)
			break
		}
	}
}

// TestChangeOutlivesItsProcess: Swarm takes a change back whose process has ended, and the next one, which finds it made, says so.
func TestChangeOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	s, _, image := testSwarm(t)
	r := swarmRelease(s, image)
	mustStart(t, s, r)
	r.Env = map[string]string{"VERSION": "one", "EXIT_AFTER": "3s"}
	r.Replicas = 2
	if w, err := s.converge(t.Context(), r); err != nil || !w.rolls {
		t.Fatalf("the change rolls: %t, %v", w.rolls, err)
	}
	_, err := NewSwarm(s.engine, s.cfg).Start(t.Context(), r)
	if text := failure(t, err); !strings.Contains(text, "Swarm took the change back") {
		t.Errorf("failure is %q", text)
	}
}

// TestStopOfWhatWaitsForANode: when it returns nothing of the release is wanted any more that could begin.
func TestStopOfWhatWaitsForANode(t *testing.T) {
	t.Parallel()
	s, _, image := testSwarm(t)
	r := swarmRelease(s, image)
	r.Replicas, r.Constraints = 3, []string{"node.hostname==nowhere"}
	spec := s.spec(r, nil, nil)
	if err := s.create(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	waiting := poll(t, func() *view { v, _ := s.look(t.Context(), r.ID); return v }, func(v *view) bool { return v != nil && len(v.tasks) == 3 && v.homeless() != "" })
	looks := 0
	err := s.ended(t.Context(), func() ([]swarm.Task, map[string]swarm.Node, error) {
		if looks++; looks == 1 {
			return waiting.tasks, waiting.nodes, nil
		}
		return nil, nil, nil
	})
	if err != nil || looks != 2 {
		t.Errorf("what waits for a node was taken for ended: %v", err)
	}
	if err := s.Stop(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	v, err := s.look(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range v.tasks {
		if isWanted(task) && !isStopped(task.Spec) {
			t.Errorf("after Stop a task may still begin: it is %s, to be %s", task.Status.State, task.DesiredState)
		}
	}
	if err := s.Remove(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
}

// TestLeftOfARelease: what a removal that was interrupted has left is listed, and removed by another one; networks go with their last user.
func TestLeftOfARelease(t *testing.T) {
	t.Parallel()
	s, _, image := testSwarm(t)
	r := swarmRelease(s, image)
	r.Env["PASSWORD"], r.SecretFiles, r.Networks = "s3cret", []string{"PASSWORD"}, []string{"apps"}
	mustStart(t, s, r)
	if err := s.engine.pruneNetworks(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := s.engine.networks(t.Context(), s.engine.swarmNetwork("apps")); err != nil || len(left) != 1 {
		t.Errorf("the network of what runs: %+v, %v", left, err)
	}
	if err := s.engine.docker.ServiceRemove(t.Context(), string(r.ID)); err != nil {
		t.Fatal(err)
	}
	want := deploy.Instance{ID: r.ID, WorkloadID: r.WorkloadID, DeploymentID: r.DeploymentID, State: deploy.Missing}
	if list, err := s.List(t.Context()); err != nil || len(list) != 1 || list[0] != want {
		t.Errorf("listed is %+v, %v", list, err)
	}
	if err := s.Remove(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	if list, err := s.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("after it was removed %+v is listed, %v", list, err)
	}
	poll(t, func() []network.Summary {
		if err := s.engine.pruneNetworks(t.Context()); err != nil {
			t.Fatal(err)
		}
		left, err := s.engine.networks(t.Context(), s.engine.swarmNetwork("apps"))
		if err != nil {
			t.Fatal(err)
		}
		return left
	}, func(left []network.Summary) bool { return len(left) == 0 })
}

// TestEnginesAreToldApart: those of nodes that have Docker's own id from one image too.
func TestEnginesAreToldApart(t *testing.T) {
	t.Parallel()
	_, cluster, _ := testSwarm(t)
	ids := map[string]bool{}
	for _, node := range cluster.Nodes {
		e, err := New(Config{Host: node.Host, Instance: "any"})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		for range 2 {
			is, err := e.Identity(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ids[is.ID] = true
		}
	}
	if len(ids) != len(cluster.Nodes) {
		t.Errorf("the ids are %v", ids)
	}
}
