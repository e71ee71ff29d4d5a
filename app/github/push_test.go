package github

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tinyforge/app"
	"tinyforge/db"
)

const secret = "tinyforge-test-secret"

func testForge(secret string) *Forge {
	return &Forge{row: db.Forge{ID: 3, Credentials: db.Credentials{WebhookSecret: secret}}}
}

func sign(body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func signedHeader(event, contentType string, body []byte) http.Header {
	h := http.Header{}
	h.Set("Content-Type", contentType)
	h.Set("X-GitHub-Event", event)
	h.Set("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
	h.Set("X-Hub-Signature-256", sign(body))
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
	case p.Installation != nil:
		i := p.Installation
		s := fmt.Sprintf("installation %d %s", i.Installation.ExternalID, i.Installation.Account)
		if i.Installation.Suspended {
			s += " suspended"
		}
		if i.Deleted {
			s += " deleted"
		}
		for _, r := range i.Added {
			s += fmt.Sprintf(" +%d:%s", r.ExternalID, r.FullName)
		}
		for _, id := range i.Removed {
			s += fmt.Sprintf(" -%d", id)
		}
		return s
	}
	s := fmt.Sprintf("%d:%s %s", p.Repository.ExternalID, p.Repository.FullName, p.Ref)
	if p.Package != nil {
		return fmt.Sprintf("%s %s %.9s %.7s", s, p.Package.Name(), p.Package.Digest, p.Commit)
	}
	if p.Deleted {
		return s + " deleted"
	}
	s += fmt.Sprintf(" %.7s %d files", p.Commit, len(p.Files))
	if p.FilesComplete {
		s += " complete"
	}
	return s
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
	want := map[string]string{
		"push.branch":                           "4711:acme/site refs/heads/main ccccccc 3 files complete",
		"push.merge":                            "4711:acme/site refs/heads/main ccccccc 3 files",
		"push.forced":                           "4711:acme/site refs/heads/main ccccccc 1 files",
		"push.created":                          "4711:acme/site refs/heads/feature/x ccccccc 1 files",
		"push.created-empty":                    "4711:acme/site refs/heads/staging ccccccc 0 files",
		"push.branch-delete":                    "4711:acme/site refs/heads/staging deleted",
		"push.tag":                              "4711:acme/site refs/tags/v1 ccccccc 0 files",
		"push.tag-annotated":                    "4711:acme/site refs/tags/v2 ccccccc 0 files",
		"push.tag-delete":                       "4711:acme/site refs/tags/v1 deleted",
		"push.note":                             "ignored",
		"push.still":                            "ignored",
		"push.no-repository":                    "malformed",
		"push.bad-name":                         "malformed",
		"push.bad-ref":                          "malformed",
		"push.bad-hash":                         "malformed",
		"push.bad-head":                         "malformed",
		"push.wrong-type":                       "malformed",
		"installation.created":                  "installation 31 acme +4711:acme/site +4712:acme/api",
		"installation.unsuspend":                "installation 31 acme +4711:acme/site +4712:acme/api",
		"installation.new_permissions_accepted": "installation 31 acme +4711:acme/site +4712:acme/api",
		"installation.suspend":                  "installation 31 acme suspended",
		"installation.deleted":                  "installation 31 acme deleted",
		"installation.odd":                      "ignored",
		"installation.no-account":               "malformed",
		"installation_repositories.added":       "installation 31 acme +4712:acme/api",
		"installation_repositories.removed":     "installation 31 acme -4712",
		"ping.app":                              "ignored",
		"delete.branch":                         "ignored",
		"pull_request.opened":                   "ignored",
		"package.container":                     "4711:acme/site refs/heads/main ghcr.io/acme/site:latest sha256:ab ccccccc",
		"registry_package.container":            "0: refs/heads/main ghcr.io/acme/site:latest sha256:ab ccccccc",
		"package.label":                         "4711:acme/site  ghcr.io/acme/site:latest sha256:ab ddddddd",
		"package.no-tag":                        "4711:acme/site refs/heads/main ghcr.io/acme/site sha256:ab ",
		"package.npm":                           "ignored",
		"package.deleted":                       "ignored",
		"package.bad-name":                      "malformed",
		"package.bad-tag":                       "malformed",
		"package.no-repository":                 "ignored",
		"package.bad-repository":                "malformed",
		"package.wrong-type":                    "malformed",
	}
	files, _ := filepath.Glob("testdata/*.json")
	if len(files) != len(want) {
		t.Errorf("%d files for %d cases", len(files), len(want))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		event, _, _ := strings.Cut(name, ".")
		body := readFile(t, file)
		form := []byte("payload=" + url.QueryEscape(string(body)))
		for contentType, body := range map[string][]byte{"application/json": body, "application/x-www-form-urlencoded": form} {
			if got := describe(testForge(secret).Push(signedHeader(event, contentType, body), body)); got != want[name] {
				t.Errorf("%s as %s: %q, want %q", name, contentType, got, want[name])
			}
		}
	}
}

func TestPushFields(t *testing.T) {
	body := readFile(t, "testdata/push.branch.json")
	got, err := testForge(secret).Push(signedHeader("push", "application/json", body), body)
	if err != nil {
		t.Fatal(err)
	}
	want := app.Push{
		DeliveryID: "72d3162e-cc78-11e3-81ab-4c9367dc0958", Event: "push",
		Repository: db.Repository{ForgeID: 3, ExternalID: 4711, FullName: "acme/site", DefaultBranch: "main", Private: true},
		Ref:        "refs/heads/main", Before: strings.Repeat("a", 40), After: strings.Repeat("c", 40), Commit: strings.Repeat("c", 40),
		Message: "Übergröße", Author: "A Developer",
		Files: []string{"a.txt", "index.html", "old.txt"}, FilesComplete: true,
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestPushOfAnnotatedTag(t *testing.T) {
	body := readFile(t, "testdata/push.tag-annotated.json")
	p, err := testForge(secret).Push(signedHeader("push", "application/json", body), body)
	if err != nil || p.After != strings.Repeat("d", 40) || p.Commit != strings.Repeat("c", 40) {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestPushOfManyCommitsIsNotComplete(t *testing.T) {
	var e map[string]any
	if err := json.Unmarshal(readFile(t, "testdata/push.branch.json"), &e); err != nil {
		t.Fatal(err)
	}
	one := e["commits"].([]any)[0]
	for n, want := range map[int]bool{2047: true, 2048: false} {
		e["commits"] = slices.Repeat([]any{one}, n)
		body, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		p, err := testForge(secret).Push(signedHeader("push", "application/json", body), body)
		if err != nil || p.FilesComplete != want || len(p.Files) != 3 {
			t.Errorf("%d commits: %v, %v", n, p.FilesComplete, err)
		}
	}
}

func TestPushSignature(t *testing.T) {
	// GitHub documentation, "Validating webhook deliveries". The text is no JSON: authentic, but malformed.
	f := testForge("It's a Secret to Everybody")
	h := signedHeader("push", "application/json", nil)
	h.Set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
	if got := describe(f.Push(h, []byte("Hello, World!"))); got != "malformed" {
		t.Errorf("published vector: %s", got)
	}
	if got := describe(f.Push(h, []byte("Hello, World?"))); got != "refused" {
		t.Errorf("other body: %s", got)
	}

	body := readFile(t, "testdata/push.branch.json")
	for name, change := range map[string]func(http.Header){
		"absent":     func(h http.Header) { h.Del("X-Hub-Signature-256") },
		"empty":      func(h http.Header) { h.Set("X-Hub-Signature-256", "") },
		"empty hash": func(h http.Header) { h.Set("X-Hub-Signature-256", "sha256=") },
		"no prefix":  func(h http.Header) { h.Set("X-Hub-Signature-256", sign(body)[len("sha256="):]) },
		"sha1":       func(h http.Header) { h.Set("X-Hub-Signature-256", "sha1="+sign(body)[len("sha256="):]) },
		"wrong":      func(h http.Header) { h.Set("X-Hub-Signature-256", sign(body[1:])) },
	} {
		h := signedHeader("push", "application/json", body)
		change(h)
		if got := describe(testForge(secret).Push(h, body)); got != "refused" {
			t.Errorf("%s: %s", name, got)
		}
	}
	empty := hmac.New(sha256.New, nil)
	empty.Write(body)
	h = signedHeader("push", "application/json", body)
	h.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(empty.Sum(nil)))
	if got := describe(testForge("").Push(h, body)); got != "refused" {
		t.Errorf("empty secret: %s", got)
	}
	if got := describe(testForge("").Push(signedHeader("push", "application/json", body), body)); got != "refused" {
		t.Errorf("no secret configured: %s", got)
	}
}

func TestPushWithoutWhatItNeeds(t *testing.T) {
	body := readFile(t, "testdata/push.branch.json")
	for name, change := range map[string]func(http.Header){
		"no delivery":   func(h http.Header) { h.Del("X-GitHub-Delivery") },
		"no event":      func(h http.Header) { h.Del("X-GitHub-Event") },
		"long delivery": func(h http.Header) { h.Set("X-GitHub-Delivery", strings.Repeat("a", 300)) },
		"form":          func(h http.Header) { h.Set("Content-Type", "application/x-www-form-urlencoded") },
	} {
		h := signedHeader("push", "application/json", body)
		change(h)
		if got := describe(testForge(secret).Push(h, body)); got != "malformed" {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, body := range []string{"", "null", "[]", "{", string(body[:len(body)/2]), string(body) + "{}"} {
		if got := describe(testForge(secret).Push(signedHeader("push", "application/json", []byte(body)), []byte(body))); got != "malformed" {
			t.Errorf("%.20q: %s", body, got)
		}
	}
}

// The recorded payloads lie beside the repository where it is developed; the rules they show are also those of testdata.
func TestPushOfRecordedPayloads(t *testing.T) {
	const dir = "../../../shared/payloads/github"
	if _, err := os.Stat(dir); err != nil {
		t.Logf("no recorded payloads here: %v", err)
		return
	}
	want := map[string]string{
		"push.branch":                           "135493233:Codertocat/Hello-World refs/heads/master 199eddf 1 files complete",
		"push.branch.form":                      "135493233:Codertocat/Hello-World refs/heads/master 199eddf 1 files complete",
		"push.branch-create":                    "13933572:bradrydzewski/drone-test-go refs/heads/feature-branch d2b75aa 0 files",
		"push.branch-create.installation":       "186853002:Codertocat/Hello-World refs/heads/master 6113728 1 files",
		"push.no-username-committer":            "186853002:Codertocat/Hello-World refs/heads/master 6113728 1 files",
		"push.branch-delete":                    "13933572:bradrydzewski/drone-test-go refs/heads/feature-branch deleted",
		"push.tag-create":                       "13933572:bradrydzewski/drone-test-go refs/tags/v0.0.1 d2b75aa 0 files",
		"push.tag-delete":                       "186853002:Codertocat/Hello-World refs/tags/simple-tag deleted",
		"push.tag-delete.2":                     "13933572:bradrydzewski/drone-test-go refs/tags/v0.0.1 deleted",
		"push.tag-delete.installation":          "186853002:Codertocat/Hello-World refs/tags/simple-tag deleted",
		"push.tag-delete.organization":          "186853002:Codertocat/Hello-World refs/tags/simple-tag deleted",
		"installation.created":                  "installation 957387 Codertocat +186853002:Codertocat/Hello-World",
		"installation.created.requester":        "installation 957387 Codertocat +186853002:Codertocat/Hello-World",
		"installation.deleted":                  "installation 2 octocat deleted",
		"installation.new_permissions_accepted": "installation 957387 Codertocat +186853002:Codertocat/Hello-World",
		"installation.suspend":                  "installation 16598467 Codertocat suspended",
		"installation.unsuspend":                "installation 16598467 Codertocat",
		"installation_repositories.added":       "installation 957387 Codertocat +186853007:Codertocat/Space",
		"installation_repositories.removed":     "installation 2 octocat -1296269",

		"package.published.docker":          "185882436:Codertocat/hello-world-npm refs/heads/master ghcr.io/codertocat/hello-world sha256:3d 6c62fb4",
		"registry_package.published.docker": "185882436:Codertocat/hello-world-npm refs/heads/master ghcr.io/codertocat/hello-world sha256:3d 6c62fb4",
	}
	files, _ := filepath.Glob(dir + "/*.headers")
	if len(files) < 49 {
		t.Fatalf("only %d cases", len(files))
	}
	seen := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".headers")
		body, err := os.ReadFile(strings.TrimSuffix(file, ".headers") + ".json")
		if err != nil {
			body = readFile(t, strings.TrimSuffix(file, ".headers")+".body")
		}
		h := readHeader(t, file)
		expected, listed := want[name]
		if listed {
			seen++
		} else {
			expected = "ignored"
		}
		if got := describe(testForge(secret).Push(h, body)); got != expected {
			t.Errorf("%s: %q, want %q", name, got, expected)
		}
		if got := describe(testForge(secret+"x").Push(h, body)); got != "refused" {
			t.Errorf("%s with another secret: %q", name, got)
		}
	}
	if seen != len(want) {
		t.Errorf("%d of %d cases are there", seen, len(want))
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
