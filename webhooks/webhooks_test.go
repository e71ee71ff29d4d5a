package webhooks_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"

	"tinyforge/db"
	"tinyforge/db/dbtest"
	"tinyforge/webhooks"
)

var kinds = []string{"github", "gitea"}

// site is a forge named like its kind with the repository acme/site and one workload on its default branch.
func (w *world) site(kind string) (db.Forge, db.Workload) {
	w.t.Helper()
	forge := w.forge(kind, kind)
	return forge, w.workload(w.repository(forge, 4711, "acme/site", "main"), "site-"+kind, "", nil)
}

func TestUnverifiedDeliveriesDoNothing(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	body := push("refs/heads/main", hash("1"), hash("2")).body()
	for _, kind := range kinds {
		forge, workload := w.site(kind)
		signature := map[string]string{"github": "X-Hub-Signature-256", "gitea": "X-Gitea-Signature"}[kind]
		prefix := map[string]string{"github": "sha256=", "gitea": ""}[kind]
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
	w := newWorld(t, dbtest.SQLite(t))
	body := push("refs/heads/main", hash("1"), hash("2")).body()
	for _, kind := range kinds {
		forge, workload := w.site(kind)
		forge.Credentials.WebhookSecret = ""
		must(t, w.db.SaveForge(t.Context(), &forge))
		for _, signature := range []string{"", hexMAC("", body), hexMAC(secret, body)} {
			h := signed(kind, "push", "1", body)
			h.Set("X-Gitea-Signature", signature)
			h.Set("X-Hub-Signature-256", "sha256="+signature)
			w.want(w.post(forge.Name, h, bytes.NewReader(body)), http.StatusUnauthorized, "does not verify")
		}
		if n := w.queued(workload); n != 0 {
			t.Errorf("%s: %d deployments", kind, n)
		}
	}
}

func TestAChangedSecretCountsAtOnce(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	forge, _ := w.site("gitea")
	body := push("refs/heads/main", hash("1"), hash("2")).body()
	w.want(w.deliver(forge, "push", "1", body), http.StatusAccepted, "queued")
	forge.Credentials.WebhookSecret = "another"
	must(t, w.db.SaveForge(t.Context(), &forge))
	w.want(w.deliver(forge, "push", "2", body), http.StatusUnauthorized, "does not verify")
}

// GitHub sends a delivery again under its id. Gitea's replay has a new id and the same body.
func TestReplay(t *testing.T) {
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
	w := newWorld(t, dbtest.SQLite(t))
	body := push("refs/heads/main", hash("1"), hash("2")).body()
	for _, kind := range kinds {
		forge, _ := w.site(kind)
		w.want(w.deliver(forge, "push", "same", body), http.StatusAccepted, "queued")
	}
}

// endless is a body without end that counts what is read of it.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += int64(len(p))
	return len(p), nil
}

func TestOversizedBody(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	forge, _ := w.site("github")

	t.Run("streamed without a length", func(t *testing.T) {
		w := w.with(t)
		w.want(w.post(forge.Name, http.Header{}, io.LimitReader(new(endless), webhooks.MaxBody+1)), http.StatusRequestEntityTooLarge, "25 MB")
	})
	t.Run("without end", func(t *testing.T) {
		w := w.with(t)
		body := new(endless)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		w.want(w.direct(forge.Name, body), http.StatusRequestEntityTooLarge, "25 MB")
		runtime.ReadMemStats(&after)
		if over := body.read - webhooks.MaxBody; over > 1<<20 {
			t.Errorf("%d bytes were read beyond the limit", over)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 10*webhooks.MaxBody {
			t.Errorf("%d MB were allocated", took>>20)
		}
	})
	t.Run("announced", func(t *testing.T) {
		w := w.with(t)
		r := w.raw(fmt.Sprintf("POST /webhooks/%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", forge.Name, webhooks.MaxBody+1))
		w.want(r, http.StatusRequestEntityTooLarge, "25 MB") // before a byte of it was sent
	})
	t.Run("the largest", func(t *testing.T) {
		w := w.with(t)
		body := bytes.Repeat([]byte(" "), webhooks.MaxBody)
		copy(body, "{}")
		w.want(w.deliver(forge, "ping", "large", body), http.StatusOK, "the webhook works")
	})
}

// direct calls the handler without a network in between.
func (w *world) direct(forge string, body io.Reader) reply {
	w.t.Helper()
	req := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, "/webhooks/"+forge, body)
	req.ContentLength = -1
	return w.serve(req, forge)
}

func (w *world) serve(req *http.Request, forge string) reply {
	w.t.Helper()
	req.SetPathValue("forge", forge)
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, req)
	r, err := readReply(rec.Result())
	must(w.t, err)
	return r
}

// raw sends bytes and reads the answer.
func (w *world) raw(request string) reply {
	w.t.Helper()
	conn := w.dial()
	_, err := io.WriteString(conn, request)
	must(w.t, err)
	return w.answer(conn)
}

func (w *world) dial() *net.TCPConn {
	w.t.Helper()
	u, err := url.Parse(w.url)
	must(w.t, err)
	conn, err := net.Dial("tcp", u.Host)
	must(w.t, err)
	w.t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

func (w *world) answer(conn net.Conn) reply {
	w.t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(w.t, err)
	defer resp.Body.Close()
	r, err := readReply(resp)
	must(w.t, err)
	return r
}

func TestBrokenBody(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	for _, kind := range kinds {
		forge, workload := w.site(kind)
		body := push("refs/heads/main", hash("1"), hash("2")).body()
		half := body[:len(body)/2]

		t.Run(kind+" cut off on the way", func(t *testing.T) {
			w := w.with(t)
			conn := w.dial()
			_, err := fmt.Fprintf(conn, "POST /webhooks/%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", forge.Name, len(body), half)
			must(t, err)
			must(t, conn.CloseWrite())
			w.want(w.answer(conn), http.StatusBadRequest, "the body broke off")
		})
		t.Run(kind+" truncated after it was signed", func(t *testing.T) {
			w := w.with(t)
			w.want(w.post(forge.Name, signed(kind, "push", "1", body), bytes.NewReader(half)), http.StatusUnauthorized, "does not verify")
		})
		for name, text := range map[string][]byte{
			"truncated before it was signed": half,
			"empty":                          nil,
			"not JSON":                       []byte("ref=refs/heads/main"),
			"another JSON":                   []byte(`["push"]`),
			"no repository":                  []byte(`{"ref":"refs/heads/main"}`),
			"no hashes":                      []byte(`{"ref":"refs/heads/main","repository":{"id":4711,"full_name":"acme/site"}}`),
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				w := w.with(t)
				w.want(w.deliver(forge, "push", "broken", text), http.StatusBadRequest, "malformed delivery")
			})
		}
		t.Run(kind+" without an id", func(t *testing.T) {
			w := w.with(t)
			w.want(w.deliver(forge, "push", "", body), http.StatusBadRequest, "malformed delivery")
		})
		if n := w.queued(workload); n != 0 {
			t.Errorf("%s: %d deployments", kind, n)
		}
	}
}

func TestUnknownForge(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.site("github")
		body := push("refs/heads/main", hash("1"), hash("2")).body()
		for _, name := range []string{"gitlab", "GitHub", "github%00", "github%FF", "%27%20OR%201=1", "..%2Fgithub"} {
			w.want(w.post(name, signed("github", "push", "1", body), bytes.NewReader(body)), http.StatusNotFound, "unknown forge")
		}
		unread := new(endless)
		w.want(w.direct("gitlab", unread), http.StatusNotFound, "unknown forge")
		if unread.read != 0 {
			t.Errorf("%d bytes of the body were read", unread.read)
		}
	})
}

func TestForgeThatCannotBeOpened(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	w.forge("strange", "subversion")
	w.want(w.post("strange", http.Header{}, strings.NewReader("{}")), http.StatusServiceUnavailable, "not recorded")
	if log := w.log.String(); !strings.Contains(log, `unknown kind \"subversion\"`) {
		t.Errorf("log:\n%s", log)
	}
}

func TestMethods(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
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

			must(t, w.db.DeleteWorkload(t.Context(), workload.ID))
			main = push("refs/heads/main", hash("2"), hash("3")).body()
			w.want(w.deliver(forge, "push", "6", main), http.StatusOK, "no workload uses acme/site")
			if n := w.queued(workload); n != 0 {
				t.Errorf("%s: %d deployments", kind, n)
			}
		}
	})
}

func TestTwoWorkloadsOfARepository(t *testing.T) {
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

// A rename, another default branch and a change of who may see it come without an event of their own.
func TestTheRepositoryFollowsWhatItsPushesSay(t *testing.T) {
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

func TestDatabaseDown(t *testing.T) {
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

// A forge waits some seconds and never sends again by itself: what it sent whole is recorded, even when it has hung up.
func TestAForgeThatHangsUp(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		forge, workload := w.site("gitea")
		body := push("refs/heads/main", hash("1"), hash("2")).body()
		ctx, hangUp := context.WithCancel(t.Context())
		req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/webhooks/gitea", &hangingUp{bytes.NewReader(body), hangUp})
		req.Header = signed("gitea", "push", "1", body)
		w.want(w.serve(req, forge.Name), http.StatusAccepted, "queued")
		if n := w.queued(workload); n != 1 || ctx.Err() == nil {
			t.Errorf("%d deployments, %v", n, ctx.Err())
		}
	})
}

// hangingUp is a body after whose last byte the caller goes.
type hangingUp struct {
	io.Reader
	hangUp func()
}

func (b *hangingUp) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		b.hangUp()
	}
	return n, err
}

func TestOneDeliveryPostedByMany(t *testing.T) {
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

func TestASlowBodyKeepsNobodyWaiting(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	forge, workload := w.site("gitea")
	slow := push("refs/heads/main", hash("2"), hash("3")).body()
	conns := make([]*net.TCPConn, 20)
	for i := range conns {
		conns[i] = w.dial()
		_, err := fmt.Fprintf(conns[i], "POST /webhooks/gitea HTTP/1.1\r\nHost: x\r\nX-Gitea-Event: push\r\nX-Gitea-Delivery: slow\r\n"+
			"X-Gitea-Signature: %s\r\nContent-Length: %d\r\n\r\n%s", hexMAC(secret, slow), len(slow), slow[:10])
		must(t, err)
	}
	fast := push("refs/heads/main", hash("1"), hash("2")).body()
	w.want(w.deliver(forge, "push", "fast", fast), http.StatusAccepted, "queued")
	if n := w.queued(workload); n != 1 {
		t.Errorf("%d deployments before the slow bodies are there", n)
	}
	_, err := conns[0].Write(slow[10:])
	must(t, err)
	w.want(w.answer(conns[0]), http.StatusAccepted, "queued")
}
