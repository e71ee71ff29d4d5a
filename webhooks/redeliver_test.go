package webhooks_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tinyforge/app"
	"tinyforge/app/forgetest"
	"tinyforge/db"
	"tinyforge/db/migratedtest"
	"tinyforge/webhooks"
)

// TestFailedDeliveriesAreAskedFor: what a GitHub could not deliver, a tag, comes when it is asked for, once; a restart asks for
// nothing again; what reached us although its answer did not reach GitHub is not asked for.
func TestFailedDeliveriesAreAskedFor(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		p := w.place(forgetest.GitHub)
		tags := w.workload(p.repo, "tags", "refs/tags/v*", nil)
		p.push("main", "first")
		p.settle()

		p.forge.Disturb(forgetest.Disturbance{Drop: 1})
		p.push("main", "second")
		must(t, p.tag("v1"))
		p.settle()
		p.forge.Disturb(forgetest.Disturbance{})
		if n := w.queued(tags); n != 0 {
			t.Fatalf("%d deployments of a tag that was not delivered", n)
		}

		asked := p.redeliveries()
		for range 3 { // as many starts would
			_, _, err := w.handler.LookForMissed(t.Context(), p.row)
			must(t, err)
			p.settle()
		}
		if n := asked(); n != 2 {
			t.Errorf("the forge was asked for %d deliveries, want the push and the tag", n)
		}
		if n := w.queued(tags); n != 1 {
			t.Errorf("%d deployments of the tag", n)
		}
		if n := w.queued(p.workload); n != 2 {
			t.Errorf("%d deployments of two pushes", n)
		}
	})
}

// TestOnlyWhatIsMissingIsAskedFor: a forge that got no answer to what is recorded is not asked for it.
func TestOnlyWhatIsMissingIsAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, migratedtest.SQLite(t))
	p := w.place(forgetest.GitHub)
	w.afterwards = func(http.ResponseWriter) { panic(http.ErrAbortHandler) }
	p.push("main", "first")
	p.settle()
	w.afterwards = nil
	if n := w.queued(p.workload); n != 1 {
		t.Fatalf("%d deployments are queued", n)
	}
	asked := p.redeliveries()
	_, _, err := w.handler.LookForMissed(t.Context(), p.row)
	must(t, err)
	if n := asked(); n != 0 {
		t.Errorf("the forge was asked for %d deliveries", n)
	}
	until, err := w.db.LookedUntil(t.Context(), p.row.ID)
	must(t, err)
	if time.Since(until) > time.Hour {
		t.Errorf("looked until %v", until)
	}
}

// TestADeliveryThatNeverArrivesIsAskedForAgain: one that is dropped again stays wanted, but not at once.
func TestADeliveryThatNeverArrivesIsAskedForAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, migratedtest.SQLite(t))
	p := w.place(forgetest.GitHub)
	p.forge.Disturb(forgetest.Disturbance{Drop: 1})
	p.push("main", "first")
	p.settle()
	asked := p.redeliveries()
	for range 3 {
		_, _, err := w.handler.LookForMissed(t.Context(), p.row)
		must(t, err)
		p.settle()
	}
	if n := asked(); n != 1 {
		t.Errorf("asked %d times within a minute", n)
	}
	all := p.forge.Deliveries()
	what, err := w.db.ClaimRedelivery(t.Context(), p.row.ID, all[0].ID)
	must(t, err)
	if what != db.RedeliverLater {
		t.Errorf("it is given up: %v", what)
	}
}

// TestAForgeCannotMakeUsAskWithoutEnd: of deliveries that it makes up, and then does not know, few are asked for and written down
// at a time; one that is dated in the future hides nothing that fails later.
func TestAForgeCannotMakeUsAskWithoutEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, migratedtest.SQLite(t))
	p := w.place(forgetest.GitHub)
	var asked atomic.Int64
	at := time.Now().Add(1000 * time.Hour).UTC()
	p.forge.Fault(func(r *http.Request) *forgetest.Fault {
		switch {
		case r.Method == http.MethodPost && filepath.Base(r.URL.Path) == "attempts":
			asked.Add(1)
			return &forgetest.Fault{Status: http.StatusNotFound}
		case filepath.Base(r.URL.Path) != "deliveries":
			return nil
		}
		var made []string
		for i := range 300 {
			made = append(made, fmt.Sprintf(`{"id":%d,"guid":"made-up-%d","delivered_at":%q,"status_code":500}`, i+1, i, at.Format(time.RFC3339)))
		}
		return &forgetest.Fault{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: "[" + strings.Join(made, ",") + "]"}
	})
	_, _, err := w.handler.LookForMissed(t.Context(), p.row)
	must(t, err)
	if n := asked.Load(); n != 100 {
		t.Errorf("it was asked for %d deliveries at a time, want 100", n)
	}
	for range 2 {
		_, _, err = w.handler.LookForMissed(t.Context(), p.row)
		must(t, err)
	}
	until, err := w.db.LookedUntil(t.Context(), p.row.ID)
	must(t, err)
	if until.After(time.Now()) {
		t.Errorf("looked until %v, which is not yet", until)
	}
}

// TestAttemptsThatAreNotLookedAtAreSaid: who reads the log knows from when on deliveries may be missing.
func TestAttemptsThatAreNotLookedAtAreSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, migratedtest.SQLite(t))
	row := w.forge("busy", string(forgetest.GitHub))
	for more, says := range []bool{false, true} {
		var log lockedBuffer
		forge := busyForge{n: webhooks.AttemptsMost + more, now: time.Now()}
		handler := webhooks.New(w.db, func(db.Forge) (app.Forge, error) { return forge, nil }, slog.New(slog.NewTextHandler(&log, nil)))
		_, _, err := handler.LookForMissed(t.Context(), row)
		must(t, err)
		if out := log.String(); strings.Contains(out, "level=WARN msg=\"the forge tried too many deliveries") != says {
			t.Errorf("of %d attempts it says %q", forge.n, out)
		}
	}
}

// busyForge has tried n deliveries, of which none failed, within a minute.
type busyForge struct {
	app.Forge
	n   int
	now time.Time
}

// Attempts implements app.Redeliverer.
func (f busyForge) Attempts(context.Context) iter.Seq2[app.Attempt, error] {
	return func(yield func(app.Attempt, error) bool) {
		for i := range f.n {
			at := f.now.Add(-time.Minute * time.Duration(i) / time.Duration(f.n))
			if !yield(app.Attempt{ID: int64(i), DeliveryID: strconv.Itoa(i), At: at, Delivered: true}, nil) {
				return
			}
		}
	}
}

// Redeliver implements app.Redeliverer.
func (busyForge) Redeliver(context.Context, int64) error { return errors.New("nothing has failed") }

// place is a repository on a forge that delivers to the world, with a workload that follows main.
type place struct {
	w        *world
	forge    *forgetest.Server
	row      db.Forge
	repo     db.Repository
	workload db.Workload
	work     *forgetest.Worktree
}

func (w *world) place(kind forgetest.Kind) *place {
	w.t.Helper()
	s, err := forgetest.Start(forgetest.Options{Kind: kind})
	must(w.t, err)
	w.t.Cleanup(func() { must(w.t, s.Close()) })
	made, err := s.CreateRepository("acme/site", true)
	must(w.t, err)
	p := &place{w: w, forge: s, row: s.Row("git")}
	p.row.ID = 0
	must(w.t, w.db.SaveForge(w.t.Context(), &p.row))
	p.repo = db.Repository{ForgeID: p.row.ID, ExternalID: made.ID, FullName: made.FullName, DefaultBranch: "main", Private: true}
	if made.Installation != 0 {
		i := db.Installation{ForgeID: p.row.ID, ExternalID: made.Installation, Account: "acme"}
		must(w.t, w.db.SaveInstallation(w.t.Context(), &i))
		p.repo.InstallationID = i.ID
	}
	must(w.t, w.db.SaveRepository(w.t.Context(), &p.repo))
	p.workload = w.workload(p.repo, "site", "main", nil)
	p.work, err = s.Clone(w.t.Context(), made.FullName, filepath.Join(w.t.TempDir(), "work"))
	must(w.t, err)
	p.listen()
	return p
}

// listen has the forge deliver to the world.
func (p *place) listen() {
	p.w.t.Helper()
	url := p.w.url + "/webhooks/" + p.row.Name
	if p.row.Kind == string(forgetest.GitHub) {
		p.forge.SetAppWebhook(url)
		return
	}
	hook := forgetest.Hook{URL: url, Secret: p.row.Credentials.WebhookSecret, Events: []string{"push", "create", "delete", "tag_push"}}
	_, err := p.forge.AddHook(p.repo.FullName, hook)
	must(p.w.t, err)
}

// push makes a commit and pushes it to a branch.
func (p *place) push(branch, message string) (commit string) {
	p.w.t.Helper()
	must(p.w.t, p.work.Write("index.html", message, 0))
	commit, err := p.work.Commit(p.w.t.Context(), message)
	must(p.w.t, err)
	must(p.w.t, p.work.Push(p.w.t.Context(), "HEAD:refs/heads/"+branch))
	return commit
}

func (p *place) tag(name string) error {
	if _, err := p.work.Git(p.w.t.Context(), "tag", name); err != nil {
		return err
	}
	return p.work.Push(p.w.t.Context(), "refs/tags/"+name)
}

func (p *place) settle() {
	p.w.t.Helper()
	_, err := p.forge.Settle(p.w.t.Context())
	must(p.w.t, err)
}

// redeliveries counts those that the forge is asked for from now on.
func (p *place) redeliveries() (asked func() int) {
	var n atomic.Int64
	p.forge.Fault(func(r *http.Request) *forgetest.Fault {
		if r.Method == http.MethodPost && filepath.Base(r.URL.Path) == "attempts" {
			n.Add(1)
		}
		return nil
	})
	return func() int { return int(n.Load()) }
}
