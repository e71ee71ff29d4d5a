package webhooks_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tinyforge/db"
)

// readOwn reads the deliveries of testdata, named EVENT.VARIANT, and signs them.
func readOwn(t *testing.T, kind string) map[string]recorded {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", kind, "*.json"))
	must(t, err)
	all := map[string]recorded{}
	for n, file := range files {
		body, err := os.ReadFile(file)
		must(t, err)
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		event, _, _ := strings.Cut(name, ".")
		all[name] = recorded{signed(kind, event, fmt.Sprint("delivery-", n), body), body}
	}
	if len(all) == 0 {
		t.Fatalf("testdata/%s holds no deliveries", kind)
	}
	return all
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	acme := []db.Repository{{ExternalID: 4711, FullName: "acme/site", DefaultBranch: "main"}}
	onBoth(t, func(t *testing.T, w *world) {
		w.answerAll("github", readOwn(t, "github"), acme, map[string]answered{
			"push.branch":                       {202, "queued", "any@2222222 web@2222222"},
			"push.docs":                         {202, "queued", "any@2222222 web@2222222"},
			"push.forced-docs":                  {202, "queued", "any@2222222 web@2222222"},
			"push.branch-create":                {202, "queued", "any@2222222"},
			"push.tag-annotated":                {202, "queued", "tags@2222222"},
			"push.branch-delete":                {200, "feature/header was deleted: nothing is deployed", ""},
			"push.tag-delete":                   {200, "tags/v1.2.0 was deleted: nothing is deployed", ""},
			"push.other-ref":                    {200, "neither a branch nor a tag", ""},
			"delete.branch":                     {200, "told by the push event", ""},
			"ping":                              {200, "the webhook works", ""},
			"star.created":                      {200, `event "star" moves nothing`, ""},
			"installation.created":              {200, "installation of acme noted", ""},
			"installation.suspend":              {200, "installation of acme noted", ""},
			"installation.unsuspend":            {200, "installation of acme noted", ""},
			"installation.deleted":              {200, "installation of acme noted", ""},
			"installation_repositories.added":   {200, "installation of acme noted", ""},
			"installation_repositories.removed": {200, "installation of acme noted", ""},
		})
		w.answerAll("gitea", readOwn(t, "gitea"), acme, map[string]answered{
			"push.branch":        {202, "queued", "any@2222222 web@2222222"},
			"push.docs":          {202, "queued", "any@2222222 web@2222222"},
			"push.branch-create": {202, "queued", "any@2222222"},
			"push.tag-annotated": {202, "queued", "tags@2222222"},
			"push.tag-delete":    {200, "tags/v1.2.0 was deleted: nothing is deployed", ""},
			"push.test-delivery": {200, "a test delivery; the webhook works", ""},
			"delete.branch":      {200, "feature/header was deleted: nothing is deployed", ""},
			"create.branch":      {200, `event "create" moves nothing`, ""},
		})
		w.answerAll("gitlab", readOwn(t, "gitlab"), acme, map[string]answered{
			"push.branch":            {202, "queued", "any@2222222 web@2222222"},
			"push.docs":              {202, "queued", "any@2222222 web@2222222"},
			"push.branch-create":     {202, "queued", "any@2222222"},
			"push.branch-delete":     {200, "feature/header was deleted: nothing is deployed", ""},
			"tag_push.tag-annotated": {202, "queued", "tags@2222222"},
			"tag_push.tag-delete":    {200, "tags/v1.2.0 was deleted: nothing is deployed", ""},
			"push.test-delivery":     {200, "a test delivery; the webhook works", ""},
			"issue.opened":           {200, `event "Issue Hook" moves nothing`, ""},
		})
	})
}

// GitHub's list of files can be complete, and is not after a forced push; Gitea's and GitLab's never are.
func TestPathFilter(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		for _, kind := range kinds {
			for _, tc := range []struct {
				name     string
				deployed map[string]string
			}{
				{"push.branch", map[string]string{"github": "app@2222222", "gitea": "app@2222222 docs@2222222", "gitlab": "app@2222222 docs@2222222"}},
				{"push.docs", map[string]string{"github": "docs@2222222", "gitea": "app@2222222 docs@2222222", "gitlab": "app@2222222 docs@2222222"}},
				{"push.forced-docs", map[string]string{"github": "app@2222222 docs@2222222"}},
			} {
				sent, ok := readOwn(t, kind)[tc.name]
				if !ok {
					continue // the others do not tell of force
				}
				forge := w.forge(kind+"-"+strings.ReplaceAll(tc.name, ".", "-"), kind)
				repo := w.repository(forge, 4711, "acme/site", "main")
				w.workload(repo, "app."+forge.Name, "", func(row *db.Workload) { row.Paths = []string{"**", "!docs/**"} })
				w.workload(repo, "docs."+forge.Name, "", func(row *db.Workload) { row.Paths = []string{"docs/**"} })
				if got := w.deployed(w.post(forge.Name, sent.header, bytes.NewReader(sent.body))); got != tc.deployed[kind] {
					t.Errorf("%s: deploys %q, want %q", forge.Name, got, tc.deployed[kind])
				}
			}
		}
	})
}

// What is queued says what people want to read about it.
func TestQueuedDeployment(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		forge := w.forge("hub", "github")
		repo := w.repository(forge, 4711, "acme/site", "main")
		workload := w.workload(repo, "site", "", nil)
		sent := readOwn(t, "github")["push.branch"]
		r := w.post(forge.Name, sent.header, bytes.NewReader(sent.body))
		w.want(r, http.StatusAccepted, fmt.Sprintf("deployment %d queued", r.Deployments[0]))
		dep, err := w.db.Deployment(t.Context(), r.Deployments[0])
		must(t, err)
		if dep.WorkloadID != workload.ID || dep.RepositoryID != repo.ID || dep.DeliveryID == 0 || dep.Phase != db.PhaseQueued ||
			dep.Status != db.StatusPending || dep.Ref != "refs/heads/main" || dep.Commit != hash("2") ||
			dep.Message != "Move the header" || dep.Author != "A Developer" {
			t.Errorf("queued %+v", dep)
		}
	})
}

// rows says what is known of the repositories, and through which installation: "4711 acme/site via 31 acme".
func (w *world) rows(forge db.Forge, externalIDs ...int64) string {
	w.t.Helper()
	var lines []string
	for _, id := range externalIDs {
		repo, err := w.db.RepositoryByExternalID(w.t.Context(), forge.ID, id)
		if err != nil {
			continue
		}
		line := fmt.Sprintf("%d %s", id, repo.FullName)
		if repo.InstallationID != 0 {
			i, err := w.db.Installation(w.t.Context(), repo.InstallationID)
			must(w.t, err)
			line += fmt.Sprintf(" via %d %s", i.ExternalID, i.Account)
			if i.Suspended {
				line += " suspended"
			}
		}
		if repo.Removed {
			line += " removed"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}

// step is an event about an installation and what is known after it.
type step struct{ event, rows string }

func (w *world) follow(forge db.Forge, all map[string]recorded, ids []int64, steps ...step) {
	w.t.Helper()
	for _, s := range steps {
		w.want(w.post(forge.Name, all[s.event].header, bytes.NewReader(all[s.event].body)), http.StatusOK, "noted")
		if got := w.rows(forge, ids...); got != s.rows {
			w.t.Errorf("after %s: %q, want %q", s.event, got, s.rows)
		}
	}
}

func TestInstallationsAreKeptInStep(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		forge := w.forge("hub", "github")
		w.follow(forge, readOwn(t, "github"), []int64{4711, 4712},
			step{"installation.created", "4711 acme/site via 31 acme"},
			step{"installation_repositories.added", "4711 acme/site via 31 acme; 4712 acme/api via 31 acme"},
			step{"installation.suspend", "4711 acme/site via 31 acme suspended; 4712 acme/api via 31 acme suspended"},
			step{"installation.unsuspend", "4711 acme/site via 31 acme; 4712 acme/api via 31 acme"},
			step{"installation_repositories.removed", "4711 acme/site via 31 acme removed; 4712 acme/api via 31 acme"},
			step{"installation.deleted", "4711 acme/site via 31 acme removed; 4712 acme/api via 31 acme removed"},
		)
		again := readOwn(t, "github")["installation.created"]
		w.want(w.post(forge.Name, again.header, bytes.NewReader(again.body)), http.StatusOK, "received before")
		if got := w.rows(forge, 4711); !strings.HasSuffix(got, "removed") {
			t.Errorf("a replayed event brought the repository back: %q", got)
		}
		w.want(w.deliver(forge, "installation", "installed once more", again.body), http.StatusOK, "noted")
		if got := w.rows(forge, 4711); got != "4711 acme/site via 31 acme" {
			t.Errorf("after it was installed once more: %q", got)
		}
	})
}

func TestRecordedInstallationsAreKeptInStep(t *testing.T) {
	t.Parallel()
	all := readRecorded(t, "github")
	onBoth(t, func(t *testing.T, w *world) {
		forge := w.forge("hub", "github")
		w.follow(forge, all, []int64{186853002, 186853007},
			step{"installation.created", "186853002 Codertocat/Hello-World via 957387 Codertocat"},
			step{"installation_repositories.added", "186853002 Codertocat/Hello-World via 957387 Codertocat; 186853007 Codertocat/Space via 957387 Codertocat"},
			step{"installation.new_permissions_accepted", "186853002 Codertocat/Hello-World via 957387 Codertocat; 186853007 Codertocat/Space via 957387 Codertocat"},
		)
		for name, want := range map[string]string{
			"installation.deleted":              "1296269 octocat/Hello-World via 2 octocat removed",
			"installation_repositories.removed": "1296269 octocat/Hello-World via 2 octocat removed",
		} {
			w.install(t.Context(), forge, 2, "octocat", 1296269, "octocat/Hello-World")
			w.follow(forge, all, []int64{1296269}, step{name, want})
		}
		w.install(t.Context(), forge, 16598467, "Codertocat", 99, "Codertocat/Other")
		w.follow(forge, all, []int64{99},
			step{"installation.suspend", "99 Codertocat/Other via 16598467 Codertocat suspended"},
			step{"installation.unsuspend", "99 Codertocat/Other via 16598467 Codertocat"},
		)
	})
}

func (w *world) install(ctx context.Context, forge db.Forge, id int64, account string, repository int64, name string) {
	w.t.Helper()
	i := db.Installation{ForgeID: forge.ID, ExternalID: id, Account: account}
	must(w.t, w.db.SaveInstallation(ctx, &i))
	must(w.t, w.db.SaveRepository(ctx, &db.Repository{
		ForgeID: forge.ID, InstallationID: i.ID, ExternalID: repository, FullName: name, DefaultBranch: "master",
	}))
}
