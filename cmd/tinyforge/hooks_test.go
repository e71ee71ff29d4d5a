package main

import (
	"testing"

	"tinyforge/app/forgetest"
)

// TestServeKeepsWebhooks: a running Tinyforge registers the webhook of what another process made a workload of, and removes
// it with the last one.
func TestServeKeepsWebhooks(t *testing.T) {
	t.Parallel()
	s, forge := newService(t), newForge(t, forgetest.Options{Kind: forgetest.Gitea})
	newClone(t, forge, "acme/site")
	web := unique("web")
	s.apply(forge, manifestOf(web, "dockerfile", "{}"))
	row := s.workload(web)
	registered := func(url string, n int) func() bool {
		return func() bool {
			repo, err := s.store.Repository(t.Context(), row.RepositoryID)
			s.must(err)
			all := forge.Hooks("acme/site")
			return repo.HookURL == url && len(all) == n && (n == 0 || all[0].URL == url)
		}
	}
	s.await("it has a webhook", registered(s.hook(), 1))
	s.must(s.store.DeleteWorkload(t.Context(), row.ID, false))
	s.await("the webhook is gone", registered("", 0))
	row.ID, row.Name = 0, unique("other")
	s.must(s.store.SaveWorkload(t.Context(), &row))
	s.await("there is one again, which nobody applied", registered(s.hook(), 1))
}
