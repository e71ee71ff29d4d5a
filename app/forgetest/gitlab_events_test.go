package forgetest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestGitLabEvents(t *testing.T) {
	b := newBench(t, Options{Kind: GitLab}, true)
	b.addHook(Hook{URL: b.hook, Secret: "s", Events: []string{"push", "tag_push"}})
	sent := func(args ...string) (gitlabPush, string) {
		ds := b.push(args...)
		if len(ds) == 0 {
			t.Fatalf("push %v delivered nothing", args)
		}
		return decode[gitlabPush](t, string(ds[0].Body)), events(ds)
	}
	one := b.commit("a", "a", "One\n\nWith a body.")
	p, names := sent("main")
	if names != "push" || p.Kind != "push" || p.Before != zeroID || p.After != one || *p.Checkout != one || p.Total != 1 || p.Commits[0].Title != "One" ||
		p.Project.FullPath != "acme/site" || p.ProjectID != p.Project.ID || p.Project.Visibility != 0 || p.UserName != "A Developer" {
		t.Errorf("first branch: %s %+v", names, p)
	}
	var last string
	for i := range 25 {
		last = b.commit("b", fmt.Sprint(i), fmt.Sprintf("Change %d", i))
	}
	p, names = sent("main")
	if names != "push" || p.Total != 25 || len(p.Commits) != 20 || p.Commits[19].ID != last || p.Commits[0].Message != "Change 5\n" {
		t.Errorf("25 commits: %s %d listed of %d, first %q", names, len(p.Commits), p.Total, p.Commits[0].Message)
	}
	_, err := b.work.Git(b.ctx, "reset", "--quiet", "--hard", one)
	b.must(err)
	if p, names = sent("--force", "main"); names != "push" || p.Before != last || p.After != one || p.Total != 0 || len(p.Commits) != 0 {
		t.Errorf("forced back: %s %+v", names, p)
	}
	if p, names = sent("main:next"); names != "push" || p.Before != zeroID || p.Total != 0 || p.Ref != "refs/heads/next" {
		t.Errorf("branch without commits: %s %+v", names, p)
	}
	if p, names = sent(":next"); names != "push" || p.After != zeroID || p.Checkout != nil || p.Before != one {
		t.Errorf("deleted branch: %s %+v", names, p)
	}
}

func TestGitLabTagEvents(t *testing.T) {
	b := newBench(t, Options{Kind: GitLab}, true)
	one := b.commit("a", "a", "One")
	two := b.commit("a", "b", "Two")
	b.push("main")
	b.addHook(Hook{URL: b.hook, Secret: "s", Events: []string{"push", "tag_push"}})
	_, err := b.work.Git(b.ctx, "tag", "v1", one)
	b.must(err)
	ds := b.push("v1")
	if p := decode[gitlabPush](t, string(ds[0].Body)); events(ds) != "tag_push" || p.Before != zeroID || p.After != one || *p.Checkout != one || p.Total != 1 ||
		ds[0].Header.Get("X-Gitlab-Event") != "Tag Push Hook" {
		t.Errorf("tag: %s %+v", events(ds), p)
	}
	_, err = b.work.Git(b.ctx, "tag", "--force", "--annotate", "--message", "x", "v1", two)
	b.must(err)
	object, err := b.work.Git(b.ctx, "rev-parse", "v1")
	b.must(err)
	ds = b.push("--force", "v1")
	if p := decode[gitlabPush](t, string(ds[0].Body)); events(ds) != "tag_push" || p.Before != one || p.After != object || *p.Checkout != two {
		t.Errorf("moved tag: %s %+v", events(ds), p)
	}
	ds = b.push(":v1")
	if p := decode[gitlabPush](t, string(ds[0].Body)); events(ds) != "tag_push" || p.Before != object || p.After != zeroID || p.Checkout != nil {
		t.Errorf("deleted tag: %s %+v", events(ds), p)
	}
}

// More than three branches in one push, or more than three tags, are not told at all.
func TestGitLabManyRefs(t *testing.T) {
	b := newBench(t, Options{Kind: GitLab}, true)
	b.commit("a", "a", "One")
	b.push("main")
	b.addHook(Hook{URL: b.hook, Secret: "s", Events: []string{"push", "tag_push"}})
	refspecs := func(prefix string, n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprintf("main:refs/%s%d", prefix, i))
		}
		return all
	}
	for want, args := range map[string][]string{
		"push push push": refspecs("heads/three", 3),
		"":               refspecs("heads/four", 4),
		"push tag_push":  {"main:refs/heads/x", "main:refs/tags/x"},
		"tag_push":       append(refspecs("heads/many", 5), "main:refs/tags/y"),
	} {
		if got := events(b.push(args...)); got != want {
			t.Errorf("%v: %q, want %q", args, got, want)
		}
	}
}

func TestGitLabHeaders(t *testing.T) {
	b := newBench(t, Options{Kind: GitLab, Signing: true}, true)
	signing := b.Row("x").Credentials.SigningToken
	b.addHook(Hook{URL: b.hook + "/open", Events: []string{"push"}})
	b.addHook(Hook{URL: b.hook + "/token", Secret: "s", Events: []string{"push"}})
	b.addHook(Hook{URL: b.hook + "/signed", Secret: "t", SigningToken: signing, Events: []string{"push"}})
	b.addHook(Hook{URL: b.hook + "/other", Secret: "s", Events: []string{"tag_push"}})
	_, err := b.AddOrganizationHook("acme", Hook{URL: b.hook + "/group", Secret: "s", Events: []string{"push"}})
	b.must(err)
	b.commit("a", "a", "One")
	ds := b.push("main")
	if len(ds) != 4 {
		t.Fatalf("delivered: %s", events(ds))
	}
	for i, want := range []string{"", "s", "t", "s"} {
		h := ds[i].Header
		if h.Get("X-Gitlab-Token") != want || h.Get("X-Gitlab-Event") != "Push Hook" || h.Get("Idempotency-Key") != ds[i].ID || h.Get("X-Gitlab-Instance") != b.URL() ||
			h.Get("X-Gitlab-Webhook-Uuid") == "" || h.Get("X-Gitlab-Event-Uuid") == "" || h.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v", ds[i].URL, h)
		}
		if _, present := h[http.CanonicalHeaderKey("X-Gitlab-Token")]; present != (want != "") {
			t.Errorf("%s: a token that is not there", ds[i].URL)
		}
		if signed := strings.HasPrefix(h.Get("Webhook-Signature"), "v1,"); signed != (i == 2) || signed && h.Get("Webhook-Id") != ds[i].ID {
			t.Errorf("%s: %v", ds[i].URL, h)
		}
	}
	b.must(b.Redeliver(ds[2].ID))
	all, err := b.Settle(b.ctx)
	b.must(err)
	again := all[len(all)-1]
	if again.ID != ds[2].ID || again.Header.Get("Idempotency-Key") != ds[2].ID || string(again.Body) != string(ds[2].Body) ||
		again.Header.Get("X-Gitlab-Webhook-Uuid") == ds[2].Header.Get("X-Gitlab-Webhook-Uuid") || again.Header.Get("Webhook-Signature") == "" {
		t.Errorf("redelivered: %v", again.Header)
	}
}
