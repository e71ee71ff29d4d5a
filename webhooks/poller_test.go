package webhooks_test

import (
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tinyforge/app/forgetest"
	"tinyforge/db"
	"tinyforge/db/migratedtest"
	"tinyforge/webhooks"
)

// TestPollerFindsWhatWasNotDelivered: what is there when a workload is made is nobody's push; what comes after it is found
// without a webhook, once; a forge that delivers is left alone for a while.
func TestPollerFindsWhatWasNotDelivered(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		s, err := forgetest.Start(forgetest.Options{Kind: forgetest.Gitea})
		must(t, err)
		t.Cleanup(func() { must(t, s.Close()) })
		made, err := s.CreateRepository("acme/site", true)
		must(t, err)
		work, err := s.Clone(t.Context(), "acme/site", filepath.Join(t.TempDir(), "work"))
		must(t, err)
		push := func(message string) string {
			must(t, work.Write("index.html", message, 0))
			commit, err := work.Commit(t.Context(), message)
			must(t, err)
			must(t, work.Push(t.Context(), "main"))
			return commit
		}
		row := s.Row("git")
		row.ID = 0
		must(t, w.db.SaveForge(t.Context(), &row))
		repo := w.repository(row, made.ID, "acme/site", "main")
		workload := w.workload(repo, "site", "main", nil)
		poller := webhooks.NewPoller(w.handler, slog.New(slog.NewTextHandler(w.log, nil)))
		queued := func(why string, want ...string) {
			t.Helper()
			list, err := w.db.DeploymentsOf(t.Context(), workload.ID, 10)
			must(t, err)
			var commits []string
			for _, d := range list {
				commits = append(commits, d.Commit)
			}
			if !slices.Equal(commits, want) {
				t.Errorf("%s: queued %q, want %q", why, commits, want)
			}
		}

		push("first")
		poller.Pass(t.Context())
		queued("it was there before")
		second := push("second")
		poller = webhooks.NewPoller(w.handler, slog.New(slog.NewTextHandler(w.log, nil))) // another process
		poller.Pass(t.Context())
		poller.Pass(t.Context())
		queued("found", second)
		if last := w.last(row); last.Event != webhooks.EventMissed || last.After != second || !last.Accepted {
			t.Errorf("recorded as %+v", last)
		}

		third := push("third")
		_, err = w.db.Enqueue(t.Context(), &db.Delivery{ForgeID: row.ID, ExternalID: "1", Event: "push", RepositoryID: repo.ID,
			Ref: "refs/heads/main", Before: second, After: third}, []db.Deployment{{WorkloadID: workload.ID, Ref: "refs/heads/main", Commit: third}})
		must(t, err)
		poller.Pass(t.Context())
		push("fourth")
		poller.Pass(t.Context())
		queued("a forge that delivers is not asked so soon", third, second)
	})
}

// TestPollerSaysOnceWhatFails: a forge that is down is asked again, and named in the log once.
func TestPollerSaysOnceWhatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, migratedtest.SQLite(t))
	row := w.forge("git", "gitea")
	row.URL = "http://127.0.0.1:1"
	must(t, w.db.SaveForge(t.Context(), &row))
	w.workload(w.repository(row, 1, "acme/site", "main"), "site", "main", nil)
	poller := webhooks.NewPoller(w.handler, slog.New(slog.NewTextHandler(w.log, nil)))
	poller.Pass(t.Context())
	poller.Pass(t.Context())
	if n := strings.Count(w.log.String(), "ask for missed pushes"); n != 1 || !strings.Contains(w.log.String(), "acme/site") {
		t.Errorf("it is said %d times:\n%s", n, w.log.String())
	}
}

// last returns the newest delivery of a forge.
func (w *world) last(forge db.Forge) db.Delivery {
	w.t.Helper()
	list, err := w.db.DeliveryViews(w.t.Context(), db.DeliveryQuery{ForgeID: forge.ID, Limit: 1})
	must(w.t, err)
	if len(list) == 0 {
		w.t.Fatal("nothing was delivered")
	}
	return list[0].Delivery
}
