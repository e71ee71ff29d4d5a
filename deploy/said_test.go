package deploy_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/deploytest"
)

// TestRouteThatSomebodyChanged is put back, and it is logged.
func TestRouteThatSomebodyChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	w.live("a")
	log := w.logged()
	must(t, w.router.Upsert(t.Context(), db.Route{WorkloadID: w.workload.ID, Host: host}, deploy.Upstream{Name: "somebody", Addr: "127.0.0.1:9", Port: 80}))
	w.pass()
	w.serves("a")
	if text := log.String(); strings.Count(text, "put a route back that somebody changed") != 1 || !strings.Contains(text, "somebody 127.0.0.1:9") {
		t.Errorf("the log is\n%s", text)
	}
	w.pass()
	if text := log.String(); strings.Count(text, "\n") != 1 {
		t.Errorf("the next pass says more:\n%s", text)
	}
}

// TestWhatCannotBeMendedIsSaidOnce: what should run cannot be started, or ends at once, for as long as that may be.
func TestWhatCannotBeMendedIsSaidOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "dockerfile", blueGreen)
	dep := w.live("a")
	w.route(db.Routing{Aliases: []string{shop}})
	w.pass()
	w.route(db.Routing{})
	w.runtime.Exit(dep.Release.ID, 137)
	log := w.logged()
	w.deployer.Runtime = w.runtime.With(deploytest.FailAt("runtime.start:before", errors.New("no such image")))
	recovery := deploy.NewRecovery(w.deployer)
	for range 3 {
		if err := recovery.Pass(t.Context()); err == nil || !strings.Contains(err.Error(), "no such image") {
			t.Errorf("the pass says %v", err)
		}
	}
	if text := log.String(); strings.Count(text, "no such image") != 1 || strings.Count(text, "start what should run") != 1 {
		t.Errorf("the log is\n%s", text)
	}
	w.answers(host, 503, "")
	w.leaving() // a host that was given back does not wait for that
	w.deployer.Runtime = w.runtime
	must(t, recovery.Pass(t.Context()))
	w.serves("a")
	if text := log.String(); strings.Count(text, "that is over") != 1 {
		t.Errorf("the log is\n%s", text)
	}
}

func (w *world) logged() *bytes.Buffer {
	var log bytes.Buffer
	w.deployer.Log = slog.New(slog.NewTextHandler(&log, nil))
	return &log
}
