//go:build chaos

package docker

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/docker/docker/api/types/swarm"

	"tinyforge/deploy/swarmtest"
)

// TestSwarmThatDoesNotAnswerYet: an engine that began with its Swarm locked, or without a leader, is told from one that has none.
func TestSwarmThatDoesNotAnswerYet(t *testing.T) {
	t.Parallel()
	cluster := swarmtest.StartWith(t, swarmtest.Config{Nodes: 2, Managers: 2})
	e, err := New(Config{Host: cluster.Nodes[0].Host, Instance: "tinyforge-test-locked"})
	if err != nil {
		t.Fatal(err)
	}
	s := NewSwarm(e, SwarmConfig{})
	is := func() Identity {
		id, err := e.Identity(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	says := func(want string) {
		t.Helper()
		_, err := s.Start(t.Context(), swarmRelease(s, "absent"))
		if text := failure(t, err); !strings.Contains(text, want) {
			t.Errorf("failure is %q, want %q", text, want)
		}
	}
	again := func() {
		t.Helper()
		if err := cluster.Crash(0); err != nil {
			t.Fatal(err)
		}
		if err := cluster.Restart(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	now, err := e.docker.SwarmInspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now.Spec.EncryptionConfig.AutoLockManagers = true
	if err := e.docker.SwarmUpdate(t.Context(), now.Version, now.Spec, swarm.UpdateFlags{}); err != nil {
		t.Fatal(err)
	}
	key, err := e.docker.SwarmGetUnlockKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	poll(t, is, func(id Identity) bool { return id.Manager && id.Swarm == "" })
	first := is().ID
	for again(); is().Swarm != "locked"; again() { // it had not heard yet that it is to be
		if is().Swarm != "" {
			t.Fatalf("it is %+v", is())
		}
	}
	if id := is().ID; id != first {
		t.Errorf("after a restart it is %s, and was %s", id, first)
	}
	says("docker swarm unlock")
	if err := cluster.Crash(1); err != nil {
		t.Fatal(err)
	}
	unlocking, cancel := context.WithCancel(t.Context())
	var unlocked sync.WaitGroup
	unlocked.Go(func() { // it does not return while there is no leader
		_ = e.docker.SwarmUnlock(unlocking, swarm.UnlockRequest(key))
	})
	poll(t, is, func(id Identity) bool { return id.Swarm != "locked" })
	says("has no leader")
	if id := is(); !id.Manager && id.Swarm == "" {
		t.Errorf("without a leader it is %+v", id)
	}
	cancel()
	unlocked.Wait()
}
