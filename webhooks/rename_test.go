package webhooks_test

import (
	"bytes"
	"net/http"
	"testing"

	"tinyforge/app"
)

// Whoever administers a repository on Gitea can sign for it. That must not be a way to call it by another one's name, under
// which workloads would find it.
func TestAPushSignedForOneRepositoryRenamesNone(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		forge, workload := w.site("gitea")
		p := push("refs/heads/trunk", hash("1"), hash("2"))
		p.Repository.FullName, p.Repository.DefaultBranch = "acme/secret", "trunk"
		body := p.body()
		h := signed("gitea", "push", "1", body)

		h.Set("X-Gitea-Signature", hexMAC(app.RepositorySecret(secret, 4712), body))
		w.want(w.post(forge.Name, h, bytes.NewReader(body)), http.StatusUnauthorized, "")

		h.Set("X-Gitea-Signature", hexMAC(app.RepositorySecret(secret, 4711), body))
		r := w.post(forge.Name, h, bytes.NewReader(body))
		w.want(r, http.StatusAccepted, "queued")
		if got := w.deployed(r); got != workload.Name+"@2222222" {
			t.Errorf("deploys %q", got)
		}
		if row := w.repositoryRow(forge, 4711); row.FullName != "acme/site" || row.DefaultBranch != "trunk" {
			t.Errorf("row %+v", row)
		}
	})
}
