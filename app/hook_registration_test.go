package app_test

import (
	"net/http"
	"sync"
	"testing"

	"tinyforge/app"
	"tinyforge/app/forgetest"
)

// Several processes that register the same webhook at once: at no moment is there none, in the end there is one.
func TestRegisterHookBesideOthers(t *testing.T) {
	t.Parallel()
	for _, kind := range []forgetest.Kind{forgetest.Gitea, forgetest.GitLab} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			site := d.place(kind, "site")
			forge, err := d.forges.OpenRow(site.row)
			must(t, err)
			const url = deployURL + "/webhooks/site"
			register := func() { // each begins by reading the row, which names no secret
				var all sync.WaitGroup
				for range 3 {
					all.Go(func() {
						if _, err := app.RegisterHook(t.Context(), d.db, forge.(app.Hooker), site.repo.ID, url); err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
				if !site.hooked(url)() {
					t.Errorf("the webhooks are %+v", site.forge.Hooks(site.repo.FullName))
				}
			}
			register()
			site.forge.Fault(func(r *http.Request) *forgetest.Fault {
				if len(site.forge.Hooks(site.repo.FullName)) == 0 {
					t.Errorf("there was no webhook before %s %s", r.Method, r.URL.Path)
				}
				return nil
			})
			for range 20 {
				must(t, d.db.SetHookURL(t.Context(), site.repo.ID, url)) // nobody knows its secret
				register()
			}
		})
	}
}

// What signs with another secret than the row says is not taken for our webhook, be it of a process that had not heard of the new
// secret yet, made by hand, or left over at an address that comes back.
func TestRegisterHookTrustsItsOwnAlone(t *testing.T) {
	t.Parallel()
	for _, kind := range []forgetest.Kind{forgetest.Gitea, forgetest.GitLab} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			site := d.place(kind, "site")
			const url, elsewhere = deployURL + "/webhooks/site", "https://old.example.com/webhooks/site"
			opened := func(secret string) app.Hooker {
				row := site.row
				row.Credentials.WebhookSecret = secret
				forge, err := d.forges.OpenRow(row)
				must(t, err)
				return forge.(app.Hooker)
			}
			ours, theirs := opened(site.row.Credentials.WebhookSecret), opened("a secret of before")
			register := func(h app.Hooker, url string) {
				_, err := app.RegisterHook(t.Context(), d.db, h, site.repo.ID, url)
				must(t, err)
			}
			is := func(what string) {
				t.Helper()
				if !site.hooked(url)() {
					t.Errorf("%s: the webhooks are %+v", what, site.forge.Hooks(site.repo.FullName))
				}
			}
			register(ours, url)
			before := site.forge.Hooks(site.repo.FullName)[0].ID
			register(ours, url)
			if site.forge.Hooks(site.repo.FullName)[0].ID != before {
				t.Error("a webhook in order was made anew")
			}
			_, err := theirs.RenewHook(t.Context(), site.repo, url) // and was killed before it could write that down
			must(t, err)
			register(ours, url)
			is("of another process")

			register(ours, elsewhere)
			_, err = theirs.RenewHook(t.Context(), site.repo, url)
			must(t, err)
			register(ours, url)
			is("left over")

			for range 10 {
				var both sync.WaitGroup
				both.Go(func() { register(ours, url) })
				both.Go(func() { register(theirs, url) })
				both.Wait()
				register(ours, url)
				is("of two at once")
			}
		})
	}
}
