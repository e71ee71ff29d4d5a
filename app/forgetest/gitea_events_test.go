package forgetest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	sdk "code.gitea.io/sdk/gitea"
)

func (b *bench) addHook(h Hook) {
	b.t.Helper()
	_, err := b.AddHook(b.full, h)
	b.must(err)
}

func TestGiteaEvents(t *testing.T) {
	b := newBench(t, Options{Kind: Gitea}, true)
	b.addHook(Hook{URL: b.hook, Secret: "s", Events: []string{"push", "create", "delete"}})
	sent := func(args ...string) ([]Delivery, string) {
		ds := b.push(args...)
		return ds, events(ds)
	}
	one := b.commit("a", "a", "One <&> ö\u2028")
	ds, names := sent("main")
	p := decode[giteaPush](t, string(ds[0].Body))
	if names != "push create" || p.Before != zeroID || p.After != one || p.TotalCommits != 1 || p.CompareURL != b.URL()+"/" {
		t.Errorf("first branch: %s %+v", names, p)
	}
	if raw := string(ds[0].Body); !strings.Contains(raw, "One \\u003c\\u0026\\u003e ö\\u2028\\n") || !strings.HasPrefix(raw, "{\n  \"ref\"") {
		t.Errorf("not written as Gitea does: %.300s", raw)
	}
	var last string
	for i := range 8 {
		last = b.commit("b", fmt.Sprint(i), fmt.Sprintf("Change %d", i))
	}
	ds, names = sent("main")
	p = decode[giteaPush](t, string(ds[0].Body))
	if names != "push" || p.TotalCommits != 8 || len(p.Commits) != 5 || p.Commits[0].ID != last || p.Commits[4].Message != "Change 3\n" ||
		p.CompareURL != b.URL()+"/acme/site/compare/"+one+"..."+last {
		t.Errorf("eight commits: %s %+v", names, p)
	}
	_, err := b.work.Git(b.ctx, "reset", "--quiet", "--hard", one)
	b.must(err)
	ds, names = sent("--force", "main")
	p = decode[giteaPush](t, string(ds[0].Body))
	if names != "push" || p.TotalCommits != 0 || len(p.Commits) != 0 || p.HeadCommit.ID != one || p.Before != last ||
		strings.Contains(string(ds[0].Body), "forced") || !strings.Contains(string(ds[0].Body), `"commits": []`) {
		t.Errorf("forced back: %s %+v", names, p)
	}
	ds, names = sent("main:next")
	p = decode[giteaPush](t, string(ds[0].Body))
	if names != "push create" || p.Before != zeroID || p.TotalCommits != 0 || p.CompareURL != b.URL()+"/acme/site/compare/main..."+one {
		t.Errorf("branch without commits: %s %+v", names, p)
	}
	c := decode[giteaCreate](t, string(ds[1].Body))
	if c.Ref != "next" || c.RefType != "branch" || c.Sha != one {
		t.Errorf("create: %+v", c)
	}
	ds, names = sent(":next")
	d := decode[giteaDelete](t, string(ds[0].Body))
	if names != "delete" || d.Ref != "next" || d.RefType != "branch" {
		t.Errorf("deleted branch: %s %+v", names, d)
	}
}

func TestGiteaTagEvents(t *testing.T) {
	b := newBench(t, Options{Kind: Gitea}, true)
	one := b.commit("a", "a", "One")
	two := b.commit("a", "b", "Two")
	b.push("main")
	b.addHook(Hook{URL: b.hook, Secret: "s", Events: []string{"push", "create", "delete"}})
	_, err := b.work.Git(b.ctx, "tag", "v1", one)
	b.must(err)
	ds := b.push("v1")
	p := decode[giteaPush](t, string(ds[0].Body))
	if events(ds) != "push create" || p.Before != zeroID || p.After != one || p.HeadCommit.ID != one || p.TotalCommits != 0 {
		t.Errorf("tag: %s %+v", events(ds), p)
	}
	_, err = b.work.Git(b.ctx, "tag", "--force", "--annotate", "--message", "x", "v1", two)
	b.must(err)
	object, err := b.work.Git(b.ctx, "rev-parse", "v1")
	b.must(err)
	ds = b.push("--force", "v1")
	p = decode[giteaPush](t, string(ds[0].Body))
	if events(ds) != "push create" || p.Before != zeroID || p.After != object || p.HeadCommit.ID != two {
		t.Errorf("moved tag: %s %+v", events(ds), p)
	}
	ds = b.push(":v1")
	p = decode[giteaPush](t, string(ds[0].Body))
	if events(ds) != "push delete" || p.Before != object || p.After != zeroID || p.HeadCommit != nil {
		t.Errorf("deleted tag: %s %+v", events(ds), p)
	}
	var refspecs []string
	for i := range 10 {
		refspecs = append(refspecs, fmt.Sprintf("main:b%d", i))
	}
	if ds = b.push(refspecs...); len(ds) != 20 {
		t.Errorf("ten branches: %s", events(ds))
	}
}

func TestGiteaHeaders(t *testing.T) {
	for _, forgejo := range []bool{false, true} {
		b := newBench(t, Options{Kind: Gitea, Forgejo: forgejo}, true)
		b.addHook(Hook{URL: b.hook, Secret: "s", Events: []string{"push"}, Authorization: "Bearer x"})
		b.commit("a", "a", "One")
		d := b.push("main")[0]
		families := []string{"Gitea", "Gogs", "GitHub"}
		if forgejo {
			families = append(families, "Forgejo")
		}
		for _, family := range families {
			if d.Header.Get("X-"+family+"-Delivery") != d.ID || d.Header.Get("X-"+family+"-Event") != "push" || d.Header.Get("X-"+family+"-Event-Type") != "push" {
				t.Errorf("%s: %v", family, d.Header)
			}
		}
		if !forgejo && d.Header.Get("X-Forgejo-Event") != "" {
			t.Errorf("Gitea calls itself Forgejo: %v", d.Header)
		}
		signature := d.Header.Get("X-Gitea-Signature")
		if ok, err := sdk.VerifyWebhookSignature("s", signature, d.Body); err != nil || !ok {
			t.Errorf("signature %q does not verify: %v", signature, err)
		}
		if d.Header.Get("X-Hub-Signature-256") != "sha256="+signature || !strings.HasPrefix(d.Header.Get("X-Hub-Signature"), "sha1=") ||
			d.Header.Get("Authorization") != "Bearer x" || d.Header.Get("X-Gitea-Hook-Installation-Target-Type") != "repository" {
			t.Errorf("headers: %v", d.Header)
		}
	}
}

func TestGiteaHookKinds(t *testing.T) {
	b := newBench(t, Options{Kind: Gitea}, true)
	b.addHook(Hook{URL: b.hook + "/inactive", Inactive: true, Events: []string{"push"}})
	b.addHook(Hook{URL: b.hook + "/other", Events: []string{"delete"}})
	b.addHook(Hook{URL: b.hook + "/open", Events: []string{"push"}})
	b.addHook(Hook{URL: b.hook + "/form", Secret: "s", Form: true, Events: []string{"push"}})
	_, err := b.AddOrganizationHook("acme", Hook{URL: b.hook + "/org", Secret: "s", Events: []string{"push"}})
	b.must(err)
	_, err = b.AddOrganizationHook("other", Hook{URL: b.hook + "/elsewhere", Events: []string{"push"}})
	b.must(err)
	b.commit("a", "a", "One")
	ds := b.push("main")
	if len(ds) != 3 {
		t.Fatalf("delivered: %+v", ds)
	}
	open, form, org := ds[0], ds[1], ds[2]
	for name, want := range map[string]string{"X-Gitea-Signature": "", "X-Gogs-Signature": "", "X-Hub-Signature": "sha1=", "X-Hub-Signature-256": "sha256="} {
		if values, sent := open.Header[http.CanonicalHeaderKey(name)]; !sent || values[0] != want {
			t.Errorf("%s of a hook without a secret: %q", name, values)
		}
	}
	fields, err := url.ParseQuery(string(form.Body))
	b.must(err)
	ok, err := sdk.VerifyWebhookSignature("s", form.Header.Get("X-Gitea-Signature"), []byte(fields.Get("payload")))
	if err != nil || !ok || form.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("form: %v %v", form.Header, err)
	}
	if org.URL != b.hook+"/org" || org.ID == open.ID || string(org.Body) != string(open.Body) || org.Header.Get("X-Gitea-Hook-Installation-Target-Type") != "organization" {
		t.Errorf("organisation: %v", org.Header)
	}
	b.must(b.Redeliver(org.ID))
	all, err := b.WaitDeliveries(b.ctx, 4)
	b.must(err)
	if again := all[3]; again.ID == org.ID || again.Header.Get("X-Gitea-Delivery") != again.ID || again.Header.Get("X-GitHub-Delivery") != again.ID || string(again.Body) != string(org.Body) {
		t.Errorf("redelivered: %v", again.Header)
	}
}

func TestGiteaHookAPI(t *testing.T) {
	b := newBench(t, Options{Kind: Gitea}, true)
	c := b.sdk(b.token())
	create := func(o sdk.CreateHookOption) (*sdk.Hook, int) {
		h, answer, _ := c.CreateRepoHook("acme", "site", o)
		return h, answer.StatusCode
	}
	config := func(extra ...string) map[string]string {
		m := map[string]string{"url": b.hook, "content_type": "json", "secret": "s"}
		for pair := range slices.Chunk(extra, 2) {
			m[pair[0]] = pair[1]
		}
		return m
	}
	h, code := create(sdk.CreateHookOption{Type: "gitea", Config: config()})
	if code != 201 || h.Active || !slices.Equal(h.Events, []string{"push"}) || h.Config["url"] != b.hook || h.Config["secret"] != "" {
		t.Errorf("made %d %+v", code, h)
	}
	for i := range 2 {
		h, code = create(sdk.CreateHookOption{Type: "gitea", Config: config(), Active: true, Events: []string{"nonsense", "push", "delete"}})
		if code != 201 || !h.Active || !slices.Equal(h.Events, []string{"delete", "push"}) {
			t.Errorf("made %d, time %d: %+v", code, i, h)
		}
	}
	if nothing, code := create(sdk.CreateHookOption{Type: "gitea", Config: config(), Events: []string{"nonsense"}}); code != 201 || len(nothing.Events) != 0 {
		t.Errorf("made %d %+v", code, nothing)
	}
	for name, o := range map[string]sdk.CreateHookOption{
		"kind": {Type: "smoke", Config: config()}, "url": {Type: "gitea", Config: config("url", "ftp://x")},
		"no url": {Type: "gitea", Config: config("url", "")}, "content": {Type: "gitea", Config: config("content_type", "xml")},
	} {
		if _, code := create(o); code != 422 {
			t.Errorf("wrong %s: %d", name, code)
		}
	}
	off := false
	_, err := c.EditRepoHook("acme", "site", h.ID, sdk.EditHookOption{Active: &off, Config: config("url", b.hook+"/2", "secret", "new")})
	b.must(err)
	kept := b.Hooks(b.full)
	if last := kept[2]; len(kept) != 4 || !last.Inactive || last.URL != b.hook+"/2" || last.Secret != "s" || !slices.Equal(last.Events, []string{"push"}) {
		t.Errorf("edited: %+v", kept)
	}
	got, _, err := c.GetRepoHook("acme", "site", h.ID)
	b.must(err)
	if got.Active || got.Config["url"] != b.hook+"/2" {
		t.Errorf("got %+v", got)
	}
	_, err = c.DeleteRepoHook("acme", "site", h.ID)
	b.must(err)
	if answer, err := c.DeleteRepoHook("acme", "site", h.ID); err == nil || answer.StatusCode != 404 {
		t.Errorf("deleted twice: %v", err)
	}
	list, answer, err := c.ListRepoHooks("acme", "site", sdk.ListHooksOptions{ListOptions: sdk.ListOptions{PageSize: 2}})
	b.must(err)
	if len(list) != 2 || answer.NextPage != 2 {
		t.Errorf("list: %d hooks, next page %d", len(list), answer.NextPage)
	}
}

func TestGiteaTestDelivery(t *testing.T) {
	b := newBench(t, Options{Kind: Gitea}, true)
	id, err := b.AddHook(b.full, Hook{URL: b.hook, Secret: "s", Events: []string{"push"}})
	b.must(err)
	tests := fmt.Sprintf("%s/api/v1/repos/acme/site/hooks/%d/tests", b.APIURL(), id)
	if code, body, _ := call(t, http.MethodPost, tests, b.token(), nil); code != 404 || !strings.Contains(body, "repository is empty") {
		t.Errorf("empty: %d %s", code, body)
	}
	sha := b.commit("a", "a", "One")
	b.push("main")
	if code, body, _ := call(t, http.MethodPost, tests, b.token(), nil); code != 204 {
		t.Errorf("test: %d %s", code, body)
	}
	all, err := b.WaitDeliveries(b.ctx, 2)
	b.must(err)
	if p := decode[giteaPush](t, string(all[1].Body)); p.Before != sha || p.After != sha || p.TotalCommits != 1 || p.Commits[0].Added != nil {
		t.Errorf("test delivery: %+v", p)
	}
}

func TestUnsupported(t *testing.T) {
	on := newBench(t, Options{Kind: Gitea}, true)
	if _, err := on.InstallApp("acme"); err == nil {
		t.Error("Gitea has an App")
	}
	off := newBench(t, Options{Kind: GitHub}, true)
	if _, err := off.AddHook(off.full, Hook{}); err == nil {
		t.Error("GitHub's repository got a hook of its own")
	}
	if off.NewToken(Access{}) != "" || off.Hooks(off.full) != nil {
		t.Error("GitHub answers what only Gitea has")
	}
}
