package webhooks_test

import (
	"net/http"
	"testing"

	"tinyforge/db"
)

// A rename, another default branch and a change of who may see it come without an event of their own.
func TestTheRepositoryFollowsWhatItsPushesSay(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		for _, kind := range kinds {
			forge, workload := w.site(kind)
			before := w.repositoryRow(forge, 4711)
			old := push("refs/heads/main", hash("1"), hash("2"))
			w.want(w.deliver(forge, "push", "old", old.body()), http.StatusAccepted, "queued")

			p := push("refs/heads/trunk", hash("2"), hash("3"))
			p.Repository.FullName, p.Repository.DefaultBranch, p.Repository.Private = "acme/www", "trunk", true
			r := w.deliver(forge, "push", "new", p.body())
			w.want(r, http.StatusAccepted, "queued") // the workload follows the default branch, which is trunk by now
			if got := w.deployed(r); got != workload.Name+"@3333333" {
				t.Errorf("%s: deploys %q", kind, got)
			}
			row := w.repositoryRow(forge, 4711)
			if row.ID != before.ID || row.FullName != "acme/www" || row.DefaultBranch != "trunk" || !row.Private {
				t.Errorf("%s: row %+v", kind, row)
			}
			// What comes once more is old news, under its id and under another.
			w.want(w.deliver(forge, "push", "old", old.body()), http.StatusOK, "received before")
			w.want(w.deliver(forge, "push", "old again", old.body()), http.StatusOK, "already delivered")
			if again := w.repositoryRow(forge, 4711); again.FullName != "acme/www" || again.DefaultBranch != "trunk" || !again.Private {
				t.Errorf("%s: a replay made the row %+v", kind, again)
			}
			// A push without a default branch, which says nothing of it, leaves it as it is.
			p = push("refs/heads/trunk", hash("3"), hash("4"))
			p.Repository.FullName, p.Repository.DefaultBranch = "acme/www", ""
			w.want(w.deliver(forge, "push", "public", p.body()), http.StatusAccepted, "queued")
			if row := w.repositoryRow(forge, 4711); row.Private || row.DefaultBranch != "trunk" {
				t.Errorf("%s: row %+v", kind, row)
			}
		}
	})
}

func TestARemovedRepositoryComesBackWithAPush(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		forge := w.forge("hub", "github")
		w.install(t.Context(), forge, 31, "acme", 4711, "acme/site")
		seen := w.repositoryRow(forge, 4711)
		w.workload(seen, "site", "main", nil)
		must(t, w.db.ApplyInstallationChange(t.Context(), db.InstallationChange{
			Installation: db.Installation{ForgeID: forge.ID, ExternalID: 31, Account: "acme"}, Removed: []int64{4711},
		}))
		if !w.repositoryRow(forge, 4711).Removed {
			t.Fatal("the repository was not removed")
		}
		p := push("refs/heads/main", hash("1"), hash("2"))
		p.Repository.DefaultBranch = "master"
		w.want(w.deliver(forge, "push", "1", p.body()), http.StatusAccepted, "queued")
		if row := w.repositoryRow(forge, 4711); row.Removed || row.InstallationID != seen.InstallationID || row.InstallationID == 0 {
			t.Errorf("row %+v", row)
		}
	})
}
