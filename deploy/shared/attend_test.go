package shared_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/deploy/deploytest"
	"tinyforge/deploy/shared"
)

var elsewhere = db.Process{ID: "elsewhere", Host: "other.test", Engine: "another", Runtimes: []string{"docker"}}

// TestThoughtDeadAndReplaced: a process that was taken for dead, and finds one with another Docker in its place, has to end; one that has
// not served yet does not begin.
func TestThoughtDeadAndReplaced(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1)
	a := g.members[0]
	before, attends := g.member(deploytest.NewRouter(nil)), g.member(deploytest.NewRouter(nil))
	before.Process.ID, attends.Process.ID = "before", "attends"
	defer before.DB.Close()
	defer attends.DB.Close()
	for joined := false; !joined; { // it may have joined again in between
		must(t, a.DB.LeaveProcess(t.Context(), a.Process.ID))
		joined = a.DB.JoinProcess(t.Context(), elsewhere) == nil
	}
	defer shared.Await(t.Context(), a.DB, elsewhere)()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for what, err := range map[string]error{
		"one that serves":          a.Stay(ctx),
		"one that begins":          before.Run(ctx, func(context.Context) error { t.Error("it serves"); return nil }),
		"one that follows no rows": shared.Attend(ctx, attends.DB, attends.Process),
	} {
		if _, refused := errors.AsType[*db.EngineError](err); !refused {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestAwait: who has joined is there until it serves, however long that takes.
func TestAwait(t *testing.T) {
	t.Parallel()
	m := newGroup(t, 0).member(deploytest.NewRouter(nil))
	defer m.DB.Close()
	must(t, m.DB.JoinProcess(t.Context(), elsewhere))
	seen := func() time.Time {
		all, err := m.DB.LivingProcesses(t.Context())
		if must(t, err); len(all) != 1 || all[0].Serving || all[0].Engine != elsewhere.Engine {
			t.Fatalf("alive are %+v", all)
		}
		return all[0].SeenAt
	}
	first := seen()
	end := shared.Await(t.Context(), m.DB, elsewhere)
	for !seen().After(first) {
		time.Sleep(20 * time.Millisecond)
	}
	end()
}
