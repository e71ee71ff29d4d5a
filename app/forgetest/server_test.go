package forgetest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bench is a forge with a repository, a clone of it, and a receiver of webhooks.
type bench struct {
	*Server
	t    *testing.T
	ctx  context.Context
	work *Worktree
	hook string
	full string
}

func newBench(t *testing.T, o Options, private bool) *bench {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte("queued"))
	}))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		receiver.Close()
	})
	b := &bench{Server: s, t: t, ctx: ctx, hook: receiver.URL, full: "acme/site"}
	if _, err := s.CreateRepository(b.full, private); err != nil {
		t.Fatal(err)
	}
	if b.work, err = s.Clone(ctx, b.full, filepath.Join(t.TempDir(), "work")); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) commit(path, content, message string) string {
	b.t.Helper()
	b.must(b.work.Write(path, content, 0))
	sha, err := b.work.Commit(b.ctx, message)
	b.must(err)
	return sha
}

// push returns what the push caused.
func (b *bench) push(args ...string) []Delivery {
	b.t.Helper()
	before := len(b.Deliveries())
	b.must(b.work.Push(b.ctx, args...))
	all, err := b.Settle(b.ctx)
	b.must(err)
	return all[before:]
}

func events(ds []Delivery) string {
	var names []string
	for _, d := range ds {
		names = append(names, d.Event)
	}
	return strings.Join(names, " ")
}

func TestStartRefusesUnknownKind(t *testing.T) {
	dir := t.TempDir()
	if s, err := Start(Options{Kind: "svn", Dir: dir}); err == nil {
		t.Error(s.Close())
		t.Error("a forge of an unknown kind started")
	}
}

func TestCloseRemovesOwnFolderOnly(t *testing.T) {
	dir := t.TempDir()
	given, err := Start(Options{Kind: Gitea, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	own, err := Start(Options{Kind: Gitea})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Server{given, own} {
		if _, err := s.CreateRepository("acme/site", false); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "repositories")); err != nil {
		t.Errorf("the given folder: %v", err)
	}
	if _, err := os.Stat(own.dir); !os.IsNotExist(err) {
		t.Errorf("the own folder is still there: %v", err)
	}
}

func TestCreateRepositoryRefuses(t *testing.T) {
	s := newBench(t, Options{Kind: Gitea}, false)
	for _, name := range []string{"", "site", "/site", "acme/", "a/b/c", "acme/site", "ACME/Site"} {
		if _, err := s.CreateRepository(name, false); err == nil {
			t.Errorf("a repository %q was created", name)
		}
	}
}

// A pack larger than git's post buffer arrives in chunks.
func TestLargePush(t *testing.T) {
	for _, kind := range []Kind{GitHub, Gitea} {
		t.Run(string(kind), func(t *testing.T) {
			b := newBench(t, Options{Kind: kind}, true)
			big := randomHex(3 << 20)
			b.commit("big.txt", big, "Add something big")
			b.push("main")
			again, err := b.Clone(b.ctx, b.full, filepath.Join(t.TempDir(), "again"))
			b.must(err)
			got, err := os.ReadFile(filepath.Join(again.Dir, "big.txt"))
			b.must(err)
			if string(got) != big {
				t.Error("what was cloned is not what was pushed")
			}
		})
	}
}

func TestProtocolVersion2(t *testing.T) {
	b := newBench(t, Options{Kind: GitHub}, true)
	b.commit("a", "a", "One")
	b.push("main")
	trace := filepath.Join(t.TempDir(), "trace")
	out, err := b.git.run(b.ctx, b.work.Dir, []string{"GIT_TRACE_PACKET=" + trace}, "ls-remote", "origin")
	b.must(err)
	packets, err := os.ReadFile(trace)
	b.must(err)
	if !strings.Contains(out, "refs/heads/main") || !strings.Contains(string(packets), "< version 2") {
		t.Errorf("ls-remote says %q after\n%s", out, packets)
	}
}

func TestRefusedPushDeliversNothing(t *testing.T) {
	b := newBench(t, Options{Kind: GitHub}, true)
	b.SetAppWebhook(b.hook)
	b.commit("a", "a", "One")
	b.push("main")
	b.commit("a", "b", "Two")
	b.must(b.Archive(b.full))
	if err := b.work.Push(b.ctx, "main"); err == nil {
		t.Error("an archive took a push")
	}
	other := strings.Replace(b.PushURL(b.full), b.password, "wrong", 1)
	if _, err := b.work.Git(b.ctx, "push", other, "main"); err == nil {
		t.Error("a push with a wrong password succeeded")
	}
	all, err := b.Settle(b.ctx)
	b.must(err)
	if events(all) != "push" {
		t.Errorf("delivered: %s", events(all))
	}
}

func TestDeliveriesKeepOrderAndAnswer(t *testing.T) {
	b := newBench(t, Options{Kind: GitHub}, true)
	b.SetAppWebhook(b.hook)
	for _, message := range []string{"One", "Two", "Three"} {
		b.commit("a", message, message)
		b.must(b.work.Push(b.ctx, "main"))
	}
	all, err := b.WaitDeliveries(b.ctx, 3)
	b.must(err)
	for i, message := range []string{"One", "Two", "Three"} {
		if !strings.Contains(string(all[i].Body), message) || all[i].Code != http.StatusAccepted || string(all[i].Answer) != "queued" {
			t.Errorf("delivery %d: %d %q", i, all[i].Code, all[i].Answer)
		}
	}
	expired, cancel := context.WithCancel(b.ctx)
	cancel()
	if _, err := b.WaitDeliveries(expired, 4); err == nil {
		t.Error("a fourth delivery was waited for without end")
	}
}

func TestDeliveryWithoutReceiver(t *testing.T) {
	b := newBench(t, Options{Kind: GitHub}, true)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	b.SetAppWebhook(gone.URL)
	b.commit("a", "a", "One")
	if all := b.push("main"); len(all) != 1 || all[0].Err == nil || all[0].Code != 0 {
		t.Errorf("delivered: %+v", all)
	}
	if err := b.Redeliver("nothing"); err == nil {
		t.Error("an unknown delivery was redelivered")
	}
}

func TestDeleteCommit(t *testing.T) {
	b := newBench(t, Options{Kind: Gitea}, false)
	one := b.commit("a", "a", "One")
	two := b.commit("a", "b", "Two")
	b.push("main")
	b.push(one + ":refs/heads/old")
	b.must(b.DeleteCommit(b.ctx, b.full, two))
	out, err := b.git.run(b.ctx, b.work.Dir, nil, "ls-remote", "origin", "refs/heads/*")
	b.must(err)
	if !strings.Contains(out, one) || strings.Contains(out, two) {
		t.Errorf("left are %q", out)
	}
	empty := t.TempDir() // the clone has the object itself
	_, err = b.git.run(b.ctx, empty, nil, "init", "--quiet")
	b.must(err)
	if _, err := b.git.run(b.ctx, empty, nil, "fetch", b.PushURL(b.full), one); err != nil {
		t.Errorf("the commit that stayed: %v", err)
	}
	if _, err := b.git.run(b.ctx, empty, nil, "fetch", b.PushURL(b.full), two); err == nil {
		t.Error("the deleted commit can be fetched")
	}
}

func TestFault(t *testing.T) {
	b := newBench(t, Options{Kind: Gitea}, false)
	b.Fault(func(r *http.Request) *Fault {
		if strings.HasSuffix(r.URL.Path, "/version") {
			return &Fault{Status: 418, Reflect: true, Body: "short and stout ", Header: http.Header{"Retry-After": {"3"}}}
		}
		return nil
	})
	req, err := http.NewRequestWithContext(b.ctx, http.MethodGet, b.URL()+"/api/v1/version", nil)
	b.must(err)
	req.Header.Set("Authorization", "token secret")
	code, body, header := do(t, req)
	if code != 418 || body != `short and stout {"message":"token secret"}` || header.Get("Retry-After") != "3" {
		t.Errorf("answer %d %q", code, body)
	}
	b.Fault(nil)
	if code, _, _ := get(t, b.URL()+"/api/v1/version", ""); code != http.StatusOK {
		t.Errorf("afterwards: %d", code)
	}
}

func TestSilentFaultEndsWithCaller(t *testing.T) {
	b := newBench(t, Options{Kind: Gitea}, false)
	ctx, cancel := context.WithCancel(b.ctx)
	b.Fault(func(*http.Request) *Fault { cancel(); return &Fault{Silent: true} })
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.URL()+"/api/v1/x", strings.NewReader("{}"))
	b.must(err)
	if answer, err := http.DefaultClient.Do(req); err == nil {
		answer.Body.Close()
		t.Errorf("silence answered %d", answer.StatusCode)
	}
}
