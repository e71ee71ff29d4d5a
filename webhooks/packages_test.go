package webhooks_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tinyforge/app"
	"tinyforge/db"
)

// runs adds a workload that runs an image of a registry.
func (w *world) runs(repo db.Repository, name, image string, change func(*db.Workload)) db.Workload {
	w.t.Helper()
	return w.workload(repo, name, "", func(row *db.Workload) {
		row.Source, row.Config = "image", fmt.Appendf(nil, `{"image":%q}`, image)
		if change != nil {
			change(row)
		}
	})
}

// goesLive takes the deployment that is next to its end.
func (w *world) goesLive() db.Deployment {
	w.t.Helper()
	dep, err := w.db.Claim(w.t.Context(), "test", 1<<40)
	must(w.t, err)
	dep.Phase, dep.Release = db.PhaseReaping, &db.Release{}
	must(w.t, w.db.Commit(w.t.Context(), dep, db.RuntimeState{WorkloadID: dep.WorkloadID, DeploymentID: dep.ID, Commit: dep.Commit}))
	dep.Phase = db.PhaseLive
	must(w.t, w.db.Save(w.t.Context(), dep))
	return *dep
}

// packageEvent is a package event about acme/site, which has repository 4711 where repository is true.
func packageEvent(kind, tag, digest, commit string, repository bool) []byte {
	repo := "null"
	if repository {
		repo = `{"id":4711,"full_name":"acme/site","default_branch":"main"}`
	}
	if kind == "gitea" {
		return fmt.Appendf(nil, `{"action":"created","repository":%s,"package":{"type":"container","name":"site","version":%q,"owner":{"login":"acme"}}}`, repo, tag)
	}
	return fmt.Appendf(nil, `{"action":"published","repository":%s,"package":{"package_type":"CONTAINER","registry":{"type":"CONTAINER"},
		"package_version":{"version":%q,"package_url":"ghcr.io/acme/site:%s","target_oid":%q,"target_commitish":"main"}}}`, repo, digest, tag, commit)
}

func digest(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

// images is where the registry of each kind of forge is, for the forges of world.
var images = map[string]string{"github": "ghcr.io/acme/site", "gitea": "forge.example.com/acme/site"}

func TestPackageRedeploys(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		for kind, image := range images {
			forge, other := w.forge(kind, kind), w.forge("other-"+kind, kind)
			repo := w.repository(forge, 4711, "acme/site", "main")
			site := w.runs(repo, "site."+kind, image, nil)
			w.runs(repo, "one."+kind, image+":1", nil)
			w.runs(repo, "each."+kind, image+":{{.ShortCommit}}", nil)
			w.runs(w.repository(other, 4711, "acme/site", "main"), "other."+kind, image, nil)
			w.workload(repo, "built."+kind, "release", nil)
			w.deliver(forge, "push", "first", push("refs/heads/main", hash("0"), hash("1")).body())
			for range 3 {
				w.goesLive()
			}
			r := w.deliver(forge, "package", "new", packageEvent(kind, "latest", digest("a"), hash("2"), true))
			w.want(r, http.StatusAccepted, "queued")
			if got := w.deployed(r); got != "site@1111111" {
				t.Errorf("%s: deploys %q, want what is live", kind, got)
			}
			dep, err := w.db.Deployment(t.Context(), r.Deployments[0])
			must(t, err)
			if dep.Cause != db.CausePackage || dep.WorkloadID != site.ID || dep.Ref != "refs/heads/main" || dep.Message != "change" {
				t.Errorf("%s: queued %+v", kind, dep)
			}
			w.want(w.deliver(forge, "package", "new", packageEvent(kind, "latest", digest("a"), hash("2"), true)), http.StatusOK, "received before")
			w.goesLive()
			w.want(w.deliver(forge, "package", "untold", packageEvent(kind, "2", digest("b"), "", false)), http.StatusOK,
				"package "+image+":2: no workload runs it")
			r = w.deliver(forge, "package", "none", packageEvent(kind, "1", digest("c"), hash("3"), false))
			if got := w.deployed(r); got != "one@1111111" {
				t.Errorf("%s without a repository: deploys %q", kind, got)
			}
			w.goesLive()
		}
	})
}

// GitHub tells of one image twice, and of an image for several platforms in parts that have no tag.
func TestPackageThatIsToldTwice(t *testing.T) {
	t.Parallel()
	onBoth(t, func(_ *testing.T, w *world) {
		forge := w.forge("hub", "github")
		repo := w.repository(forge, 4711, "acme/site", "main")
		w.runs(repo, "site", images["github"], nil)
		w.deliver(forge, "push", "first", push("refs/heads/main", hash("0"), hash("1")).body())
		w.goesLive()
		event := packageEvent("github", "latest", digest("a"), hash("2"), true)
		twin := bytes.Replace(event, []byte(`"package":`), []byte(`"registry_package":`), 1)
		w.want(w.deliver(forge, "package", "one", event), http.StatusAccepted, "queued")
		w.goesLive()
		w.want(w.deliver(forge, "registry_package", "two", twin), http.StatusOK, "already delivered")
		w.want(w.deliver(forge, "package", "part", packageEvent("github", "", digest("b"), hash("2"), true)), http.StatusAccepted, "queued")
		w.want(w.deliver(forge, "package", "whole", packageEvent("github", "latest", digest("c"), hash("2"), true)), http.StatusOK,
			"deployment 3, which waits for its turn, pulls it")
	})
}

func TestPackageOfWhatWasNeverDeployed(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		for kind, image := range images {
			forge := w.forge(kind, kind)
			w.runs(w.repository(forge, 4711, "acme/site", "main"), "site."+kind, image, nil)
			r := w.deliver(forge, "package", "first", packageEvent(kind, "latest", digest("a"), hash("2"), false))
			if kind == "gitea" {
				w.want(r, http.StatusOK, "was never deployed, and this names no commit")
				continue
			}
			w.want(r, http.StatusAccepted, "queued")
			if got := w.deployed(r); got != "site@2222222" {
				t.Errorf("deploys %q, want what the image was built of", got)
			}
		}
	})
}

func TestPackageOfADisabledWorkload(t *testing.T) {
	t.Parallel()
	onBoth(t, func(_ *testing.T, w *world) {
		forge := w.forge("hub", "github")
		w.runs(w.repository(forge, 4711, "acme/site", "main"), "site", images["github"], func(row *db.Workload) { row.Enabled = false })
		w.want(w.deliver(forge, "package", "first", packageEvent("github", "latest", digest("a"), hash("2"), false)), http.StatusOK,
			"package ghcr.io/acme/site:latest: workload site is disabled")
	})
}

// Whoever administers one repository has the secret of its webhook: it says nothing of what others run.
func TestPackageSignedForARepository(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		forge := w.forge("tea", "gitea")
		site := w.repository(forge, 4711, "acme/site", "main")
		w.runs(site, "site", images["gitea"], nil)
		w.runs(w.repository(forge, 4712, "acme/api", "main"), "api", images["gitea"], nil)
		for n, repo := range []int64{4711, 4712} {
			first := push("refs/heads/main", hash("0"), hash("1"))
			first.Repository.ID = repo
			w.deliver(forge, "push", fmt.Sprint("first", n), first.body())
			w.goesLive()
		}
		for n, tc := range []struct{ body, want string }{
			{string(packageEvent("gitea", "latest", "", "", true)), "site@1111111"},
			{strings.Replace(string(packageEvent("gitea", "latest", "", "", true)), `{"action"`, `{"repository":{"id":4713,"full_name":"acme/none"},"action"`, 1), "site@1111111"},
			{strings.Replace(string(packageEvent("gitea", "latest", "", "", true)), `"package":`, `"repository":null,"package":`, 1), "site@1111111"},
		} {
			h := signed("gitea", "package", fmt.Sprint("narrow", n), []byte(tc.body))
			h.Set("X-Gitea-Signature", hexMAC(app.RepositorySecret(secret, 4711), []byte(tc.body)))
			r := w.post(forge.Name, h, strings.NewReader(tc.body))
			if got := w.deployed(r); got != tc.want {
				t.Errorf("%s\nanswered %d %s, deploys %q", tc.body, r.code, r.Decision, got)
			}
			w.goesLive()
		}
	})
}

// What GitHub recorded of one image in two events is deployed once, as the commit that it was built of.
func TestRecordedPackagesDeployOnce(t *testing.T) {
	t.Parallel()
	all := readRecorded(t, "github")
	onBoth(t, func(t *testing.T, w *world) {
		forge := w.forge("hub", "github")
		repo := w.repository(forge, 185882436, "Codertocat/hello-world-npm", "master")
		w.runs(repo, "hello", "ghcr.io/codertocat/hello-world", nil)
		first, second := all["package.published.docker"], all["registry_package.published.docker"]
		r := w.post(forge.Name, first.header, bytes.NewReader(first.body))
		w.want(r, http.StatusAccepted, "queued")
		if got := w.deployed(r); got != "hello@6c62fb4" {
			t.Errorf("deploys %q", got)
		}
		w.want(w.post(forge.Name, second.header, bytes.NewReader(second.body)), http.StatusOK, "already delivered")
	})
}
