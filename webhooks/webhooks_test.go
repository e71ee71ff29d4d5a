package webhooks_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"tinyforge/db"
	"tinyforge/db/migratedtest"
)

var kinds = []string{"github", "gitea", "gitlab"}

// site is a forge named like its kind with the repository acme/site and one workload on its default branch.
func (w *world) site(kind string) (db.Forge, db.Workload) {
	w.t.Helper()
	forge := w.forge(kind, kind)
	return forge, w.workload(w.repository(forge, 4711, "acme/site", "main"), "site-"+kind, "", nil)
}

// A forge's row is kept for a moment: that must not keep a new secret out, nor let an old one in.
func TestSecretIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, migratedtest.SQLite(t))
	forge, _ := w.site("gitea")
	send := func(id, secret, before, after string) reply {
		body := push("refs/heads/main", hash(before), hash(after)).body()
		h := signed(forge.Kind, "push", id, body)
		h.Set("X-Gitea-Signature", hexMAC(secret, body))
		return w.post(forge.Name, h, bytes.NewReader(body))
	}
	w.want(send("1", secret, "1", "2"), http.StatusAccepted, "queued")
	const newer = "a newer secret than that one"
	forge.Credentials.WebhookSecret = newer
	must(t, w.db.SaveForge(t.Context(), &forge))
	w.want(send("2", newer, "2", "3"), http.StatusAccepted, "queued")
	w.want(send("3", newer, "3", "4"), http.StatusAccepted, "queued")
	w.want(send("4", secret, "4", "5"), http.StatusUnauthorized, "the signature does not verify")

	other := w.forge("other", "gitea")
	w.want(w.deliver(other, "ping", "1", []byte("{}")), http.StatusOK, "")
	must(t, w.db.DeleteForge(t.Context(), other.ID))
	h := signed(other.Kind, "push", "2", nil)
	h.Del("X-Gitea-Signature")
	w.want(w.post(other.Name, h, http.NoBody), http.StatusNotFound, "unknown forge")
}

func TestUnverifiedDeliveriesDoNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, migratedtest.SQLite(t))
	body := push("refs/heads/main", hash("1"), hash("2")).body()
	for _, kind := range kinds {
		forge, workload := w.site(kind)
		signature := map[string]string{"github": "X-Hub-Signature-256", "gitea": "X-Gitea-Signature", "gitlab": "X-Gitlab-Token"}[kind]
		prefix := map[string]string{"github": "sha256="}[kind]
		for name, value := range map[string]string{
			"absent":        "",
			"empty":         prefix,
			"of other text": prefix + hexMAC(secret, body[1:]),
			"other secret":  prefix + hexMAC("another", body),
			"empty secret":  prefix + hexMAC("", body),
			"cut":           prefix + hexMAC(secret, body)[:40],
			"not hex":       prefix + strings.Repeat("z", 64),
			"secret itself": prefix + secret,
		} {
			if kind == "gitlab" && value == secret {
				continue // which is what GitLab sends
			}
			h := signed(kind, "push", "1", body)
			h.Set(signature, value)
			if value == "" {
				h.Del(signature)
			}
			r := w.post(forge.Name, h, bytes.NewReader(body))
			w.want(r, http.StatusUnauthorized, "the signature does not verify: check the webhook's secret")
			if n := w.queued(workload); n != 0 {
				t.Errorf("%s, signature %s: %d deployments", kind, name, n)
			}
		}
		if n := w.queued(workload); n != 0 {
			t.Fatalf("%s: %d deployments", kind, n)
		}
		w.want(w.deliver(forge, "push", "1", body), http.StatusAccepted, "queued") // its id was not used up
	}
	if log := w.log.String(); strings.Contains(log, secret) || !strings.Contains(log, "code=401") {
		t.Errorf("log:\n%s", log)
	}
}

func TestAForgeWithoutSecretVerifiesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, migratedtest.SQLite(t))
	body := push("refs/heads/main", hash("1"), hash("2")).body()
	for _, kind := range kinds {
		forge, workload := w.site(kind)
		forge.Credentials.WebhookSecret = ""
		must(t, w.db.SaveForge(t.Context(), &forge))
		for _, signature := range []string{"", hexMAC("", body), hexMAC(secret, body)} {
			h := signed(kind, "push", "1", body)
			h.Set("X-Gitea-Signature", signature)
			h.Set("X-Hub-Signature-256", "sha256="+signature)
			h.Set("X-Gitlab-Token", signature)
			w.want(w.post(forge.Name, h, bytes.NewReader(body)), http.StatusUnauthorized, "does not verify")
		}
		if n := w.queued(workload); n != 0 {
			t.Errorf("%s: %d deployments", kind, n)
		}
	}
}

func TestAChangedSecretCountsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, migratedtest.SQLite(t))
	forge, _ := w.site("gitea")
	body := push("refs/heads/main", hash("1"), hash("2")).body()
	w.want(w.deliver(forge, "push", "1", body), http.StatusAccepted, "queued")
	forge.Credentials.WebhookSecret = "another"
	must(t, w.db.SaveForge(t.Context(), &forge))
	w.want(w.deliver(forge, "push", "2", body), http.StatusUnauthorized, "does not verify")
}

// GitHub and GitLab send a delivery again under its id. Gitea's replay has a new id and the same body.
func TestReplay(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		for _, kind := range kinds {
			forge, workload := w.site(kind)
			first, second := push("refs/heads/main", hash("1"), hash("2")).body(), push("refs/heads/main", hash("2"), hash("3")).body()
			accepted := w.deliver(forge, "push", "a", first)
			w.want(accepted, http.StatusAccepted, "queued")
			w.want(w.deliver(forge, "push", "a", first), http.StatusOK, "received before: "+accepted.Decision)
			w.want(w.deliver(forge, "push", "b", first), http.StatusOK, "already delivered")
			w.want(w.deliver(forge, "push", "c", second), http.StatusAccepted, "queued")
			w.want(w.deliver(forge, "push", "a", first), http.StatusOK, "received before: "+accepted.Decision)
			w.want(w.deliver(forge, "push", "d", first), http.StatusOK, "already delivered")
			list, err := w.db.DeploymentsOf(t.Context(), workload.ID, 10)
			must(t, err)
			if len(list) != 2 || list[0].Commit != hash("3") || list[0].Phase != db.PhaseQueued || list[1].Phase != db.PhaseSuperseded {
				t.Errorf("%s: deployments %+v", kind, list)
			}
		}
	})
}

func TestTheSameIDOnAnotherForgeIsAnotherDelivery(t *testing.T) {
	t.Parallel()
	w := newWorld(t, migratedtest.SQLite(t))
	body := push("refs/heads/main", hash("1"), hash("2")).body()
	for _, kind := range kinds {
		forge, _ := w.site(kind)
		w.want(w.deliver(forge, "push", "same", body), http.StatusAccepted, "queued")
	}
}

func TestUnknownForge(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		w.site("github")
		body := push("refs/heads/main", hash("1"), hash("2")).body()
		for _, name := range []string{"bitbucket", "GitHub", "github%00", "github%FF", "%27%20OR%201=1", "..%2Fgithub"} {
			w.want(w.post(name, signed("github", "push", "1", body), bytes.NewReader(body)), http.StatusNotFound, "unknown forge")
		}
		unread := new(endless)
		w.want(w.direct("bitbucket", unread), http.StatusNotFound, "unknown forge")
		if unread.read != 0 {
			t.Errorf("%d bytes of the body were read", unread.read)
		}
	})
}

func TestForgeThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	w := newWorld(t, migratedtest.SQLite(t))
	w.forge("strange", "subversion")
	w.want(w.post("strange", http.Header{}, strings.NewReader("{}")), http.StatusServiceUnavailable, "not recorded")
	if log := w.log.String(); !strings.Contains(log, `unknown kind \"subversion\"`) {
		t.Errorf("log:\n%s", log)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t, migratedtest.SQLite(t))
	w.site("github")
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete} {
		req, err := http.NewRequestWithContext(t.Context(), method, w.url+"/webhooks/github", nil)
		must(t, err)
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != http.MethodPost {
			t.Errorf("%s: answered %d, Allow %q", method, resp.StatusCode, resp.Header.Get("Allow"))
		}
	}
}

func TestPushesThatMoveNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		for _, kind := range kinds {
			forge, workload := w.site(kind)
			other := push("refs/heads/main", hash("1"), hash("2"))
			other.Repository.ID, other.Repository.FullName = 4712, "acme/other"
			w.want(w.deliver(forge, "push", "1", other.body()), http.StatusOK, "no workload uses acme/other")
			w.want(w.deliver(forge, "push", "1", other.body()), http.StatusOK, "received before: no workload uses acme/other")

			w.repository(forge, 4712, "acme/other", "main")
			w.want(w.deliver(forge, "push", "2", other.body()), http.StatusOK, "no workload uses acme/other")

			dev := push("refs/heads/dev", hash("1"), hash("2")).body()
			w.want(w.deliver(forge, "push", "3", dev), http.StatusOK, "push to dev: no workload follows it")
			tag := push("refs/tags/v1", hash("0"), hash("2")).body()
			w.want(w.deliver(forge, "push", "4", tag), http.StatusOK, "push to tags/v1: no workload follows it")

			workload.Enabled = false
			must(t, w.db.SaveWorkload(t.Context(), &workload))
			main := push("refs/heads/main", hash("1"), hash("2")).body()
			w.want(w.deliver(forge, "push", "5", main), http.StatusOK, "push to main: workload site-"+kind+" is disabled")

			must(t, w.db.DeleteWorkload(t.Context(), workload.ID, false))
			main = push("refs/heads/main", hash("2"), hash("3")).body()
			w.want(w.deliver(forge, "push", "6", main), http.StatusOK, "no workload uses acme/site")
			if n := w.queued(workload); n != 0 {
				t.Errorf("%s: %d deployments", kind, n)
			}
		}
	})
}

func TestTwoWorkloadsOfARepository(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		forge := w.forge("hub", "github")
		repo := w.repository(forge, 4711, "acme/site", "main")
		w.workload(repo, "web", "", nil)
		w.workload(repo, "api", "{main,dev}", nil)
		r := w.deliver(forge, "push", "1", push("refs/heads/main", hash("1"), hash("2"), "a").body())
		w.want(r, http.StatusAccepted, fmt.Sprintf("deployment %d queued; deployment %d queued", r.Deployments[0], r.Deployments[1]))
		if got := w.deployed(r); got != "api@2222222 web@2222222" {
			t.Errorf("deploys %q", got)
		}
		// The commit comes to a second branch: api has it already.
		r = w.deliver(forge, "push", "2", push("refs/heads/dev", hash("1"), hash("2"), "a").body())
		w.want(r, http.StatusOK, "2222222 is being deployed already")
	})
}

func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		forge, _ := w.site("gitea")
		must(t, w.db.Close())
		r := w.deliver(forge, "push", "1", push("refs/heads/main", hash("1"), hash("2")).body())
		w.want(r, http.StatusServiceUnavailable, "not recorded: send it again")
		if r.Decision != "not recorded: send it again" {
			t.Errorf("the answer tells internals: %q", r.Decision)
		}
		if log := w.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "closed") {
			t.Errorf("log:\n%s", log)
		}
	})
}

func TestOneDeliveryPostedByMany(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]func(int) string{
		"same id":   func(int) string { return "one" },
		"other ids": func(n int) string { return fmt.Sprint("hook ", n) },
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				forge, workload := w.site("gitea")
				body := push("refs/heads/main", hash("1"), hash("2")).body()
				const many = 32
				replies, start := make(chan reply, many), make(chan struct{})
				var group sync.WaitGroup
				for n := range many {
					group.Go(func() {
						<-start
						r, err := w.send(forge.Name, signed("gitea", "push", id(n), body), bytes.NewReader(body))
						if err != nil {
							t.Error(err)
						}
						replies <- r
					})
				}
				close(start)
				group.Wait()
				close(replies)
				codes := map[int]int{}
				for r := range replies {
					codes[r.code]++
				}
				if codes[http.StatusAccepted] != 1 || codes[http.StatusOK] != many-1 {
					t.Errorf("answers %v, want one 202 and the rest 200", codes)
				}
				if n := w.queued(workload); n != 1 {
					t.Errorf("%d deployments, want 1", n)
				}
			})
		})
	}
}
