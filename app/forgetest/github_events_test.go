package forgetest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-github/v62/github"
)

// event verifies and decodes a delivery as go-github's users do.
func event[T any](b *bench, d Delivery) T {
	b.t.Helper()
	body, err := github.ValidatePayloadFromBody(
		d.Header.Get("Content-Type"), strings.NewReader(string(d.Body)),
		d.Header.Get(github.SHA256SignatureHeader), []byte(b.Row("x").Credentials.WebhookSecret))
	b.must(err)
	decoded, err := github.ParseWebHook(d.Header.Get(github.EventTypeHeader), body)
	b.must(err)
	e, ok := decoded.(T)
	if !ok || d.Header.Get(github.DeliveryIDHeader) != d.ID {
		b.t.Fatalf("delivery %s decodes to %T", d.ID, decoded)
	}
	return e
}

func (b *bench) single(ds []Delivery) *github.PushEvent {
	b.t.Helper()
	if events(ds) != "push" {
		b.t.Fatalf("delivered: %q", events(ds))
	}
	return event[*github.PushEvent](b, ds[0])
}

func TestGitHubPushEvents(t *testing.T) {
	b := newBench(t, Options{Kind: GitHub}, true)
	b.commit("a", "a", "Before anybody listened")
	b.push("main")
	if all := b.Deliveries(); len(all) != 0 {
		t.Fatalf("delivered: %s", events(all))
	}
	b.SetAppWebhook(b.hook)
	r, err := b.Repository(b.full)
	b.must(err)

	before, err := b.work.Head(b.ctx)
	b.must(err)
	b.commit("b", "b", "Add b\n\nBody.")
	_, err = b.work.Git(b.ctx, "rm", "--quiet", "a")
	b.must(err)
	after := b.commit("b", "bb", "Change b")
	p := b.single(b.push("main"))
	if p.GetRef() != "refs/heads/main" || p.GetBefore() != before || p.GetAfter() != after ||
		p.GetCreated() || p.GetDeleted() || p.GetForced() || p.GetInstallation().GetID() != r.Installation {
		t.Errorf("push: %v", p)
	}
	if repo := p.GetRepo(); repo.GetID() != r.ID || repo.GetFullName() != b.full || !repo.GetPrivate() ||
		repo.GetDefaultBranch() != "main" || repo.GetCloneURL() != r.CloneURL || repo.GetOwner().GetLogin() != "acme" || repo.GetCreatedAt().IsZero() {
		t.Errorf("repository: %v", repo)
	}
	if c := p.Commits; len(c) != 2 || c[0].GetMessage() != "Add b\n\nBody." || strings.Join(c[0].Added, " ") != "b" ||
		c[1].GetID() != after || strings.Join(c[1].Removed, " ") != "a" || strings.Join(c[1].Modified, " ") != "b" {
		t.Errorf("commits: %v", c)
	}
	if p.GetHeadCommit().GetID() != after || p.GetHeadCommit().GetAuthor().GetName() != "A Developer" || p.GetSender().GetLogin() != Developer {
		t.Errorf("head: %v", p.GetHeadCommit())
	}

	_, err = b.work.Git(b.ctx, "reset", "--quiet", "--hard", before)
	b.must(err)
	if p = b.single(b.push("--force", "main")); !p.GetForced() || len(p.Commits) != 0 || p.GetHeadCommit().GetID() != before {
		t.Errorf("forced: %v", p)
	}
	if p = b.single(b.push("main:refs/heads/next")); !p.GetCreated() || p.GetBefore() != zeroID || len(p.Commits) != 0 || p.GetBaseRef() != "refs/heads/main" {
		t.Errorf("created: %v", p)
	}
	deleted := b.push(":next")
	if events(deleted) != "push delete" {
		t.Fatalf("delivered: %s", events(deleted))
	}
	if p = event[*github.PushEvent](b, deleted[0]); !p.GetDeleted() || p.GetAfter() != zeroID || p.HeadCommit != nil {
		t.Errorf("deleted: %v", p)
	}
	if d := event[*github.DeleteEvent](b, deleted[1]); d.GetRef() != "next" || d.GetRefType() != "branch" || d.GetInstallation().GetID() != r.Installation {
		t.Errorf("deleted: %v", d)
	}
}

func TestGitHubTagEvents(t *testing.T) {
	b := newBench(t, Options{Kind: GitHub}, true)
	head := b.commit("a", "a", "One")
	b.push("main")
	b.SetAppWebhook(b.hook)
	_, err := b.work.Git(b.ctx, "tag", "--annotate", "--message", "x", "v1")
	b.must(err)
	object, err := b.work.Git(b.ctx, "rev-parse", "v1")
	b.must(err)
	if p := b.single(b.push("v1")); p.GetRef() != "refs/tags/v1" || p.GetAfter() != object || p.GetHeadCommit().GetID() != head || len(p.Commits) != 0 {
		t.Errorf("tag: %v", p)
	}
	tag := func(names ...string) []Delivery {
		for _, name := range names {
			_, err := b.work.Git(b.ctx, "tag", name)
			b.must(err)
		}
		return b.push("--tags")
	}
	if got := events(tag("a", "b", "c")); got != "push push push" {
		t.Errorf("three tags: %q", got)
	}
	if got := events(tag("d", "e", "f", "g")); got != "" {
		t.Errorf("four tags: %q", got)
	}
	if got := events(b.push(":v1")); got != "push delete" {
		t.Errorf("deleted tag: %q", got)
	}
}

func TestGitHubInstallationEvents(t *testing.T) {
	b := newBench(t, Options{Kind: GitHub}, true)
	r, err := b.Repository(b.full)
	b.must(err)
	b.SetAppWebhook(b.hook)
	told := func(err error) Delivery {
		t.Helper()
		b.must(err)
		all, err := b.Settle(b.ctx)
		b.must(err)
		return all[len(all)-1]
	}
	id, err := b.InstallApp("acme")
	i := event[*github.InstallationEvent](b, told(err))
	if i.GetAction() != "created" || i.GetInstallation().GetID() != id || i.GetInstallation().GetAccount().GetLogin() != "acme" ||
		len(i.Repositories) != 1 || i.Repositories[0].GetID() != r.ID {
		t.Errorf("installed: %v", i)
	}
	s := event[*github.InstallationRepositoriesEvent](b, told(b.RemoveRepository(b.full)))
	if s.GetAction() != "removed" || len(s.RepositoriesRemoved) != 1 || s.RepositoriesRemoved[0].GetFullName() != b.full || len(s.RepositoriesAdded) != 0 {
		t.Errorf("removed: %v", s)
	}
	b.commit("a", "a", "Unheard")
	if got := events(b.push("main")); got != "" {
		t.Errorf("the app hears of a repository it may not see: %q", got)
	}
	if s = event[*github.InstallationRepositoriesEvent](b, told(b.AddRepository(b.full))); s.GetAction() != "added" || len(s.RepositoriesAdded) != 1 {
		t.Errorf("added: %v", s)
	}
	if i = event[*github.InstallationEvent](b, told(b.Suspend("acme"))); i.GetAction() != "suspend" || i.GetInstallation().GetSuspendedAt().IsZero() {
		t.Errorf("suspended: %v", i)
	}
	if i = event[*github.InstallationEvent](b, told(b.Unsuspend("acme"))); i.GetAction() != "unsuspend" || i.GetInstallation().SuspendedAt != nil {
		t.Errorf("unsuspended: %v", i)
	}
	if i = event[*github.InstallationEvent](b, told(b.UninstallApp("acme"))); i.GetAction() != "deleted" || i.GetInstallation().GetID() != id {
		t.Errorf("uninstalled: %v", i)
	}
	if again, err := b.InstallApp("acme"); err != nil || again == id {
		t.Errorf("installed again as %d, was %d: %v", again, id, err)
	}
}

func TestGitHubRedelivery(t *testing.T) {
	b := newBench(t, Options{Kind: GitHub}, true)
	b.SetAppWebhook(b.hook)
	b.commit("a", "a", "One")
	first := b.push("main")[0]
	b.must(b.Redeliver(first.ID))
	all, err := b.WaitDeliveries(b.ctx, 2)
	b.must(err)
	if all[1].ID != first.ID || all[1].Header.Get("X-GitHub-Delivery") != first.ID || string(all[1].Body) != string(first.Body) {
		t.Errorf("redelivered: %+v", all[1])
	}
	h := b.Sign("ping", []byte(`{"zen":"x"}`))
	b.Deliver(b.hook, h, []byte(`{"zen":"x"}`))
	all, err = b.WaitDeliveries(b.ctx, 3)
	b.must(err)
	event[*github.PingEvent](b, all[2])
	if all[2].Code != http.StatusAccepted || !json.Valid(all[2].Body) {
		t.Errorf("delivered: %+v", all[2])
	}
}
