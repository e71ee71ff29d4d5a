package shared_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/db/dbtest"
	"tinyforge/deploy/deploytest"
	"tinyforge/deploy/shared"
)

// lines passes on what is logged.
type lines chan string

func (l lines) Write(line []byte) (int, error) { l <- string(line); return len(line), nil }

// TestWatch: who comes and goes is told once each, and when the database is away and back.
func TestWatch(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 0)
	store := g.member(deploytest.NewRouter(nil)).DB
	defer store.Close()
	said := make(lines, 16)
	next := func(want string) {
		t.Helper()
		if line := <-said; !strings.Contains(line, want) {
			t.Errorf("said is %s, want %s", line, want)
		}
	}
	join := func(id string) (end func()) {
		p := db.Process{ID: id, Host: id + ".test", Runtimes: []string{"docker"}}
		must(t, store.JoinProcess(t.Context(), p))
		return shared.Await(t.Context(), store, p)
	}
	defer join("here")()
	defer join("old")()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		shared.Watch(ctx, store, "here", slog.New(slog.NewTextHandler(said, nil)))
	}()
	next(`msg="another process is there" host=old.test`)
	leaves, killed := join("leaves"), join("killed")
	for range 2 {
		next(`msg="another process joined"`)
	}
	leaves()
	must(t, store.LeaveProcess(t.Context(), "leaves"))
	next(`msg="another process left" host=leaves.test`)
	killed()
	dbtest.Exec(t, g.address, "UPDATE processes SET seen_at = seen_at - interval '6 seconds' WHERE id = 'killed'")
	next(`msg="another process has not answered for 5 s: it is not waited for any more" host=killed.test`)
	dbtest.Exec(t, g.address, "ALTER TABLE processes RENAME TO gone")
	next("the database does not answer: sites are served as they are, nothing is deployed")
	dbtest.Exec(t, g.address, "ALTER TABLE gone RENAME TO processes")
	next("the database answers again")
	cancel()
	<-ended
	if len(said) > 0 {
		t.Errorf("said too is %s", <-said)
	}
}
