package gitlab

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tinyforge/app"
	"tinyforge/db"
)

const (
	secret = "tinyforge-test-secret"

	// signingToken is that of the recorded payloads, signed at their moment.
	signingToken = "whsec_Meny+nAJs9ceS4jNBQbTGyopi37aKScFHQsslSqr1ro="
	moment       = 1767225600
)

// testForge has the secret and, where it is not "", the signing token. Its clock stands still.
func testForge(t testing.TB, secret, signing string) *Forge {
	t.Helper()
	key, err := parseSigningToken(signing)
	if err != nil {
		t.Fatal(err)
	}
	return &Forge{
		row:        db.Forge{ID: 3, Credentials: db.Credentials{WebhookSecret: secret, SigningToken: signing}},
		signingKey: key, now: func() time.Time { return time.Unix(moment, 0) },
	}
}

// gitlabHeader is what GitLab sends with a body from a webhook with this secret.
func gitlabHeader(kind, secret string) http.Header {
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("X-Gitlab-Event", map[string]string{
		"push": "Push Hook", "tag_push": "Tag Push Hook", "issue": "Issue Hook", "pipeline": "Pipeline Hook",
	}[kind])
	h.Set("X-Gitlab-Instance", "https://gitlab.example.com")
	h.Set("X-Gitlab-Webhook-UUID", "21612c2a-03f8-5531-8e85-483ca1a02143")
	h.Set("X-Gitlab-Event-UUID", "9859e863-1df6-5861-b711-2e660bdcd42e")
	h.Set("Idempotency-Key", "dedb98ca-e539-52d9-93ab-69c6c5239b0a")
	h.Set("X-Gitlab-Token", secret)
	return h
}

// describe says in a line what became of a delivery.
func describe(p app.Push, err error) string {
	switch {
	case errors.Is(err, app.ErrSignature):
		return "refused"
	case errors.Is(err, app.ErrIgnored):
		return "ignored"
	case errors.Is(err, app.ErrMalformed):
		return "malformed"
	case err != nil:
		return "error " + err.Error()
	}
	s := fmt.Sprintf("%d:%s %s", p.Repository.ExternalID, p.Repository.FullName, p.Ref)
	if p.FilesComplete {
		s += " complete"
	}
	if p.Deleted {
		return s + " deleted"
	}
	return s + fmt.Sprintf(" %.7s %d files", p.Commit, len(p.Files))
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestPushCases(t *testing.T) {
	const site = "4711:acme/site refs/"
	want := map[string]string{
		"push.branch":        site + "heads/main ccccccc 3 files",
		"push.created":       site + "heads/staging ccccccc 0 files",
		"push.force-back":    site + "heads/main ccccccc 0 files",
		"push.many":          site + "heads/main ccccccc 0 files",
		"push.public":        site + "heads/main ccccccc 3 files",
		"push.nested":        "4711:acme/tools/web/site refs/heads/main ccccccc 3 files",
		"push.delete":        site + "heads/feature/x deleted",
		"push.sha256":        site + "heads/main ccccccc 0 files",
		"tag_push.light":     site + "tags/v1 ccccccc 0 files",
		"tag_push.annotated": site + "tags/v2 ccccccc 0 files",
		"tag_push.moved":     site + "tags/v2 ccccccc 0 files",
		"tag_push.delete":    site + "tags/v1 deleted",
		"tag_push.tree":      "ignored",
		"push.test-delivery": "ignored",
		"push.notes":         "ignored",
		"issue.opened":       "ignored",
		"pipeline.success":   "ignored",
		"push.no-project":    "malformed",
		"push.system":        "malformed",
		"push.bad-kind":      "malformed",
		"push.bad-name":      "malformed",
		"push.bad-ref":       "malformed",
		"push.bad-hash":      "malformed",
		"push.bad-checkout":  "malformed",
		"push.wrong-type":    "malformed",
	}
	files, _ := filepath.Glob("testdata/*.json")
	if len(files) != len(want) {
		t.Errorf("%d files for %d cases", len(files), len(want))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		kind, _, _ := strings.Cut(name, ".")
		text := readFile(t, file)
		if got := describe(testForge(t, secret, "").Push(gitlabHeader(kind, secret), text)); got != want[name] {
			t.Errorf("%s: %q, want %q", name, got, want[name])
		}
		if got := describe(testForge(t, secret, signingToken).Push(signed(kind, tokenKey(t), moment, text), text)); got != want[name] {
			t.Errorf("%s, signed: %q, want %q", name, got, want[name])
		}
		if got := describe(testForge(t, secret, "").Push(gitlabHeader(kind, secret+"x"), text)); got != "refused" {
			t.Errorf("%s with another secret: %q", name, got)
		}
	}
}

func tokenKey(t testing.TB) []byte {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(signingToken, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestPushFields(t *testing.T) {
	text := readFile(t, "testdata/push.branch.json")
	got, err := testForge(t, secret, "").Push(gitlabHeader("push", secret), text)
	if err != nil {
		t.Fatal(err)
	}
	want := app.Push{
		DeliveryID: "dedb98ca-e539-52d9-93ab-69c6c5239b0a", Event: "push",
		Repository: db.Repository{ForgeID: 3, ExternalID: 4711, FullName: "acme/site", DefaultBranch: "main", Private: true},
		Ref:        "refs/heads/main", Before: strings.Repeat("a", 40), After: strings.Repeat("c", 40), Commit: strings.Repeat("c", 40),
		Message: "Übergröße", Author: "A Developer", Files: []string{"a.txt", "index.html", "old.txt"},
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// What a delivery does not say is not made up.
func TestPushWithoutItsCommit(t *testing.T) {
	for name, want := range map[string]app.Push{
		"push.force-back":    {Author: "A Pusher", After: strings.Repeat("c", 40)},
		"tag_push.annotated": {Author: "A Developer", Message: "Release", After: strings.Repeat("d", 40)},
	} {
		kind, _, _ := strings.Cut(name, ".")
		p, err := testForge(t, secret, "").Push(gitlabHeader(kind, secret), readFile(t, "testdata/"+name+".json"))
		if err != nil || p.Message != want.Message || p.Author != want.Author || p.After != want.After || p.Commit != strings.Repeat("c", 40) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if p, err := testForge(t, secret, "").Push(gitlabHeader("push", secret), readFile(t, "testdata/push.public.json")); err != nil || p.Repository.Private {
		t.Errorf("a public project: %+v, %v", p, err)
	}
}

func TestPushHeaders(t *testing.T) {
	text := readFile(t, "testdata/push.branch.json")
	const good = "4711:acme/site refs/heads/main ccccccc 3 files"
	for name, tc := range map[string]struct {
		change   func(http.Header)
		want, id string
	}{
		"all": {func(http.Header) {}, good, "dedb98ca-e539-52d9-93ab-69c6c5239b0a"},
		"no key": {func(h http.Header) {
			h.Del("Idempotency-Key")
			h.Set("webhook-id", "1")
		}, good, "1"},
		"before 17.4": {func(h http.Header) { h.Del("Idempotency-Key") }, good, "21612c2a-03f8-5531-8e85-483ca1a02143"},
		"the event":   {func(h http.Header) { h.Del("Idempotency-Key"); h.Del("X-Gitlab-Webhook-UUID") }, good, "9859e863-1df6-5861-b711-2e660bdcd42e"},
		"no id": {func(h http.Header) {
			h.Del("Idempotency-Key")
			h.Del("X-Gitlab-Webhook-UUID")
			h.Del("X-Gitlab-Event-UUID")
		}, "malformed", ""},
		"system hook":   {func(h http.Header) { h.Set("X-Gitlab-Event", "System Hook") }, "ignored", ""},
		"no event":      {func(h http.Header) { h.Del("X-Gitlab-Event") }, "malformed", ""},
		"long event":    {func(h http.Header) { h.Set("X-Gitlab-Event", strings.Repeat("a", 300)) }, "malformed", ""},
		"no token":      {func(h http.Header) { h.Del("X-Gitlab-Token") }, "refused", ""},
		"empty token":   {func(h http.Header) { h.Set("X-Gitlab-Token", "") }, "refused", ""},
		"part of it":    {func(h http.Header) { h.Set("X-Gitlab-Token", secret[:len(secret)-1]) }, "refused", ""},
		"more than it":  {func(h http.Header) { h.Set("X-Gitlab-Token", secret+" ") }, "refused", ""},
		"in other case": {func(h http.Header) { h.Set("X-Gitlab-Token", strings.ToUpper(secret)) }, "refused", ""},
	} {
		h := gitlabHeader("push", secret)
		tc.change(h)
		p, err := testForge(t, secret, "").Push(h, text)
		if got := describe(p, err); got != tc.want || p.DeliveryID != tc.id {
			t.Errorf("%s: %s %q, want %s %q", name, got, p.DeliveryID, tc.want, tc.id)
		}
		if got := describe(testForge(t, "", "").Push(h, text)); got != "refused" {
			t.Errorf("%s, to a forge without a secret: %s", name, got)
		}
	}
	for _, text := range []string{"", "null", "[]", "{", string(text[:len(text)/2])} {
		if got := describe(testForge(t, secret, "").Push(gitlabHeader("push", secret), []byte(text))); got != "malformed" {
			t.Errorf("%.20q: %s", text, got)
		}
	}
}

// The recorded payloads lie beside the repository where it is developed; the rules they show are also those of testdata.
func TestPushOfRecordedPayloads(t *testing.T) {
	const dir = "../../../shared/payloads/gitlab"
	if _, err := os.Stat(dir); err != nil {
		t.Logf("no recorded payloads here: %v", err)
		return
	}
	const world, nested = "4861503:gitlab-org/hello-world refs/", "4861503:group1/group2/group3/grp2repo refs/"
	want := map[string]string{
		"push":                        "15:mike/diaspora refs/heads/master da15608 2 files",
		"push.real":                   world + "heads/master 2adc946 1 files",
		"push.merge":                  world + "heads/master 78a76ee 1 files",
		"push.subgroup":               nested + "heads/master 2adc946 1 files",
		"push.branch-create":          world + "heads/feature c4c7922 1 files",
		"push.branch-delete":          world + "heads/feature deleted",
		"push.branch-delete.subgroup": nested + "heads/feature deleted",
		"tag_push":                    "1:jsmith/example refs/tags/v1.0.0 82b3d5a 2 files",
		"tag_push.create":             world + "tags/v1.0.0 2adc946 1 files",
		"tag_push.delete":             world + "tags/v1.0.0 deleted",
		"tag_push.delete.subgroup":    nested + "tags/v1.0.0 deleted",
		"merge_request":               "ignored",
		"pipeline":                    "ignored",
		"release":                     "ignored",
		"deployment":                  "ignored",
		"job":                         "ignored",
	}
	files, _ := filepath.Glob(dir + "/*.headers")
	if len(files) != len(want) {
		t.Errorf("%d files for %d cases", len(files), len(want))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".headers")
		body, h := readFile(t, strings.TrimSuffix(file, ".headers")+".json"), readHeader(t, file)
		for by, forge := range map[string]*Forge{
			"secret": testForge(t, secret, ""), "signature": testForge(t, secret, signingToken), "signature alone": testForge(t, "", signingToken),
		} {
			p, err := forge.Push(h, body)
			if got := describe(p, err); got != want[name] || err == nil && p.DeliveryID != h.Get("Idempotency-Key") {
				t.Errorf("%s by %s: %q, want %q", name, by, got, want[name])
			}
		}
		for by, forge := range map[string]*Forge{
			"another secret": testForge(t, secret+"x", ""), "no secret": testForge(t, "", ""),
			"another key": testForge(t, secret, "whsec_"+strings.Repeat("A", 43)+"="),
		} {
			if got := describe(forge.Push(h, body)); got != "refused" {
				t.Errorf("%s by %s: %q", name, by, got)
			}
		}
	}
}

func readHeader(t *testing.T, file string) http.Header {
	t.Helper()
	h := http.Header{}
	for line := range strings.Lines(string(readFile(t, file))) {
		name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if !ok {
			t.Fatalf("%s: %q", file, line)
		}
		h.Add(textproto.CanonicalMIMEHeaderKey(name), strings.TrimSpace(value))
	}
	return h
}
