package app_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"tinyforge/app"
	"tinyforge/app/forgetest"
	"tinyforge/db/migratedtest"
)

func TestHooksFollowTheWorkloads(t *testing.T) {
	t.Parallel()
	for dialect, address := range migratedtest.Databases(t) {
		t.Run(dialect, func(t *testing.T) {
			d := newDeskOn(t, address)
			hub, site := d.place(forgetest.GitHub, "hub"), d.place(forgetest.Gitea, "site")
			k := d.keep(deployURL, time.Hour)
			const url = deployURL + "/webhooks/site"
			k.until("the first workload has a webhook", site.hooked(url))

			second := site.addWorkload("second", `{}`)
			must(t, d.db.DeleteWorkload(t.Context(), site.workload.ID, false))
			late := d.place(forgetest.Gitea, "late") // a forge that is new
			k.until("the new forge has a webhook", late.hooked(deployURL+"/webhooks/late"))
			if !site.hooked(url)() {
				t.Error("the webhook did not stay for the second workload")
			}
			must(t, d.db.DeleteWorkload(t.Context(), second.ID, false))
			k.until("the webhook is gone with the last workload", site.unhooked)
			must(t, d.db.SaveWorkload(t.Context(), &second))
			k.until("it is back", site.hooked(url))
			k.stop()
			if n := len(hub.forge.Hooks(hub.repo.FullName)); n != 0 {
				t.Errorf("an App's repository has %d webhooks", n)
			}
			if log := d.log.String(); strings.Count(log, "webhook registered") != 3 || strings.Count(log, "webhook removed") != 1 || strings.Count(log, "\n") != 4 {
				t.Errorf("the log is\n%s", log)
			}
		})
	}
}

func TestHooksAreRepairedAndOtherwiseLeft(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	site := d.place(forgetest.Gitea, "site")
	k := d.keep(deployURL, 5*time.Millisecond)
	const url = deployURL + "/webhooks/site"
	k.until("there is a webhook", site.hooked(url))
	for quiet := 0; quiet < 3; {
		switch said := <-k.done; {
		case said == "ensured false <nil>":
			quiet++
		case quiet > 0:
			t.Errorf("a webhook in order: %s", said)
		}
	}
	hooker := func() app.Hooker { forge, _ := d.forges.OpenRow(site.row); return forge.(app.Hooker) }()
	must(t, hooker.RemoveHook(t.Context(), site.repo, url))
	k.until("what somebody deleted is back", site.hooked(url))
	must(t, hooker.RemoveHook(t.Context(), site.repo, url))
	_, err := site.forge.AddHook(site.repo.FullName, forgetest.Hook{URL: url, Inactive: true, Events: []string{"push", "delete"}})
	must(t, err)
	k.until("what somebody disabled works", site.hooked(url))
}

// The address of a webhook may have changed since it was registered, and so may the secret.
func TestHooksMove(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	site := d.place(forgetest.Gitea, "site")
	const before, after = "https://old.example.com", deployURL
	k := d.keep(before, time.Hour)
	k.until("there is a webhook", site.hooked(before+"/webhooks/site"))
	k.stop()

	site.forge.Fault(func(r *http.Request) *forgetest.Fault {
		if r.Method == http.MethodDelete && len(site.forge.Hooks(site.repo.FullName)) < 2 {
			t.Error("the old webhook went before the new one was there")
		}
		return nil
	})
	k = d.keep(after, 5*time.Millisecond)
	k.until("the webhook has the new address", site.hooked(after+"/webhooks/site"))
	site.forge.Fault(nil)

	site.row.Credentials.WebhookSecret = "a new secret"
	must(t, d.db.SaveForge(t.Context(), &site.row))
	k.until("the webhook has the new secret", site.hooked(after+"/webhooks/site"))
	k.stop()

	must(t, d.db.DeleteWorkload(t.Context(), site.workload.ID, false))
	k = d.keep("https://third.example.com", time.Hour)
	k.until("the webhook is gone although the address has changed since", site.unhooked)
}

// What a webhook signs with outlives the process that registered it: another one sees whether that is still the secret.
func TestHooksAfterARestart(t *testing.T) {
	t.Parallel()
	for _, kind := range []forgetest.Kind{forgetest.Gitea, forgetest.GitLab} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			site := d.place(kind, "site")
			const url = deployURL + "/webhooks/site"
			restarted := func() int64 {
				k := d.keep(deployURL, 5*time.Millisecond)
				for range 2 {
					k.until("nothing is left to do", func() bool { return wait(t, k.done) == "ensured false <nil>" })
				}
				k.stop()
				if !site.hooked(url)() {
					t.Errorf("the webhooks are %+v", site.forge.Hooks(site.repo.FullName))
				}
				return site.forge.Hooks(site.repo.FullName)[0].ID
			}
			first := restarted()
			if again := restarted(); again != first {
				t.Error("a webhook in order was made anew")
			}
			site.row.Credentials.WebhookSecret = "a new secret"
			must(t, d.db.SaveForge(t.Context(), &site.row))
			second := restarted()
			if second == first {
				t.Error("the webhook signs with the old secret for ever")
			}
			must(t, d.db.SetHookURL(t.Context(), site.repo.ID, url)) // nobody knows its secret
			third := restarted()
			if again := restarted(); third == second || again != third {
				t.Errorf("a webhook of unknown secret is %d, then %d, then %d: want it made anew once", second, third, again)
			}
		})
	}
}

func TestAForgeThatIsDownDelaysNoOther(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	down, site := d.place(forgetest.Gitea, "down"), d.place(forgetest.Gitea, "site")
	down.forge.Fault(func(*http.Request) *forgetest.Fault { return &forgetest.Fault{Silent: true} })
	k := d.keep(deployURL, time.Hour)
	k.until("the other forge has a webhook", site.hooked(deployURL+"/webhooks/site"))
	api := site.addWorkload("api", `{}`)
	must(t, d.db.DeleteWorkload(t.Context(), site.workload.ID, false))
	must(t, d.db.DeleteWorkload(t.Context(), api.ID, false))
	k.until("the other forge's webhook is gone", site.unhooked)
	k.stop() // does not wait for the one that is down
}

func TestHookFailures(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	site := d.place(forgetest.Gitea, "site")
	site.forge.Fault(func(r *http.Request) *forgetest.Fault {
		if r.Method == http.MethodPost {
			return &forgetest.Fault{Status: http.StatusForbidden, Reflect: true}
		}
		return nil
	})
	k := d.keep(deployURL, time.Hour)
	for range 2 {
		k.until("it was tried", func() bool { return strings.HasPrefix(<-k.done, "ensured false create webhook: forge answered 403") })
	}
	if _, row := site.ours(""); row != deployURL+"/webhooks/site" {
		t.Errorf("what may have been registered is written down as %q", row)
	}
	site.forge.Fault(nil)
	k.until("it works by itself", site.hooked(deployURL+"/webhooks/site"))
	k.stop()
	log := d.log.String()
	if strings.Count(log, "webhook is not in step") != 1 || !strings.Contains(log, "repository=acme/site") {
		t.Errorf("the log is\n%s", log)
	}
	if strings.Contains(log, site.row.Credentials.Token) {
		t.Errorf("the log holds the token:\n%s", log)
	}
}

// A repository that is gone has no webhook; nothing is tried forever.
func TestHooksOfWhatIsGone(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	site := d.place(forgetest.Gitea, "site")
	must(t, d.db.SetHookURL(t.Context(), site.repo.ID, deployURL+"/webhooks/site"))
	must(t, d.db.DeleteWorkload(t.Context(), site.workload.ID, false))
	site.forge.Fault(func(*http.Request) *forgetest.Fault { return &forgetest.Fault{Status: http.StatusNotFound} })
	k := d.keep(deployURL, time.Hour)
	k.until("the row says that there is none", site.unhooked)
}

func TestWithoutAPublicURLNoHookIsKept(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	site := d.place(forgetest.Gitea, "site")
	site.forge.Fault(func(r *http.Request) *forgetest.Fault {
		t.Errorf("the forge was asked for %s", r.URL.Path)
		return nil
	})
	k := d.keep("", time.Millisecond)
	k.until("it said so", func() bool { return strings.Contains(d.log.String(), "--public-url") })
	site.addWorkload("another", `{}`)
	k.stop()
	if log := d.log.String(); strings.Count(log, "\n") != 1 {
		t.Errorf("the log is\n%s", log)
	}
}

// The address may be set, and changed, while the keeper is at work.
func TestHooksMoveWithTheAddress(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	site := d.place(forgetest.Gitea, "site")
	k := d.keepAt(func(ctx context.Context) (string, error) { return d.db.Setting(ctx, "public_url") }, time.Hour)
	k.until("it said so", func() bool { return strings.Contains(d.log.String(), "--public-url") })
	for _, address := range []string{deployURL, "https://other.example.com"} {
		must(t, d.db.SetSettings(t.Context(), map[string]string{"public_url": address}))
		k.until("the webhook is at "+address, site.hooked(address+"/webhooks/site"))
	}
}

// Who registers and is killed before it is written down finds the webhook again.
func TestRegisterHookIsRepeatable(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	site := d.place(forgetest.Gitea, "site")
	forge, err := d.forges.OpenRow(site.row)
	must(t, err)
	const old, url = "https://old.example.com/webhooks/site", deployURL + "/webhooks/site"
	_, err = app.RegisterHook(t.Context(), d.db, forge.(app.Hooker), site.repo.ID, old)
	must(t, err)
	site.forge.Fault(func(r *http.Request) *forgetest.Fault {
		if r.Method == http.MethodDelete {
			return &forgetest.Fault{Status: http.StatusBadGateway}
		}
		return nil
	})
	_, err = app.RegisterHook(t.Context(), d.db, forge.(app.Hooker), site.repo.ID, url)
	if status, ok := errors.AsType[*app.StatusError](err); !ok || status.Code != http.StatusBadGateway {
		t.Errorf("got %v", err)
	}
	if n, row := site.ours(url); n != 1 || row != old {
		t.Errorf("there are %d new webhooks, the row says %q", n, row)
	}
	site.forge.Fault(nil)
	for range 2 {
		_, err = app.RegisterHook(t.Context(), d.db, forge.(app.Hooker), site.repo.ID, url)
		must(t, err)
	}
	if !site.hooked(url)() {
		t.Errorf("the webhooks are %+v", site.forge.Hooks(site.repo.FullName))
	}
	must(t, app.UnregisterHook(t.Context(), d.db, forge.(app.Hooker), site.repo.ID, ""))
	if !site.unhooked() {
		t.Errorf("the webhooks are %+v", site.forge.Hooks(site.repo.FullName))
	}
}
