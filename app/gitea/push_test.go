package gitea

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tinyforge/app"
	"tinyforge/db"
)

const secret = "tinyforge-test-secret"

func testForge(secret string) *Forge {
	return &Forge{row: db.Forge{ID: 3, Credentials: db.Credentials{WebhookSecret: secret}}, web: "https://git.example.com:3000"}
}

func sign(secret string, text []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(text)
	return hex.EncodeToString(mac.Sum(nil))
}

// giteaHeader is what Gitea sends for text, the JSON.
func giteaHeader(event string, text []byte) http.Header {
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	for _, vendor := range []string{"Gitea", "Gogs", "GitHub"} {
		h.Set("X-"+vendor+"-Event", event)
		h.Set("X-"+vendor+"-Delivery", "f77fa130-6635-4156-9f74-2ab47bb9ba62")
	}
	h.Set("X-Gitea-Signature", sign(secret, text))
	h.Set("X-Gogs-Signature", sign(secret, text))
	h.Set("X-Hub-Signature-256", "sha256="+sign(secret, text))
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
	if p.Package != nil {
		return fmt.Sprintf("%s%s %s %s", s, p.Package.Name(), p.Package.Digest, p.Commit)
	}
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
	want := map[string]string{
		"push.branch":         "4711:acme/site refs/heads/main ccccccc 3 files",
		"push.created":        "4711:acme/site refs/heads/staging ccccccc 0 files",
		"push.force-back":     "4711:acme/site refs/heads/main ccccccc 0 files",
		"push.tag":            "4711:acme/site refs/tags/v1 ccccccc 0 files",
		"push.tag-annotated":  "4711:acme/site refs/tags/v2 ccccccc 0 files",
		"push.tag-delete":     "4711:acme/site refs/tags/v1 deleted",
		"push.test-delivery":  "ignored",
		"push.review":         "ignored",
		"push.sha256":         "4711:acme/site refs/heads/main ccccccc 0 files",
		"delete.branch":       "4711:acme/site refs/heads/feature/x deleted",
		"delete.tag":          "4711:acme/site refs/tags/v1 deleted",
		"delete.sha256":       "4711:acme/site refs/heads/x deleted",
		"delete.odd":          "malformed",
		"delete.empty":        "malformed",
		"create.branch":       "ignored",
		"pull_request.opened": "ignored",
		"status.pending":      "ignored",
		"push.no-repository":  "malformed",
		"push.bad-name":       "malformed",
		"push.bad-ref":        "malformed",
		"push.bad-hash":       "malformed",
		"push.bad-head":       "malformed",
		"push.wrong-type":     "malformed",

		"package.container":      "0: git.example.com:3000/acme/site:latest  ",
		"package.linked":         "4711:acme/site git.example.com:3000/acme/site:latest  ",
		"package.deleted":        "ignored",
		"package.generic":        "ignored",
		"package.part":           "ignored",
		"package.bad-name":       "malformed",
		"package.bad-tag":        "malformed",
		"package.bad-repository": "malformed",
		"package.wrong-type":     "malformed",
	}
	files, _ := filepath.Glob("testdata/*.json")
	if len(files) != len(want) {
		t.Errorf("%d files for %d cases", len(files), len(want))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		event, _, _ := strings.Cut(name, ".")
		text := readFile(t, file)
		h := giteaHeader(event, text)
		if got := describe(testForge(secret).Push(h, text)); got != want[name] {
			t.Errorf("%s: %q, want %q", name, got, want[name])
		}
		h.Set("Content-Type", "application/x-www-form-urlencoded")
		if got := describe(testForge(secret).Push(h, []byte("payload="+url.QueryEscape(string(text))))); got != want[name] {
			t.Errorf("%s as a form: %q, want %q", name, got, want[name])
		}
	}
}

func TestPushFields(t *testing.T) {
	text := readFile(t, "testdata/push.branch.json")
	got, err := testForge(secret).Push(giteaHeader("push", text), text)
	if err != nil {
		t.Fatal(err)
	}
	want := app.Push{
		DeliveryID: "f77fa130-6635-4156-9f74-2ab47bb9ba62", Event: "push",
		Repository: db.Repository{ForgeID: 3, ExternalID: 4711, FullName: "acme/site", DefaultBranch: "main", Private: true},
		Ref:        "refs/heads/main", Before: strings.Repeat("a", 40), After: strings.Repeat("c", 40), Commit: strings.Repeat("c", 40),
		Message: "Übergröße", Author: "A Developer", Files: []string{"a.txt", "index.html", "old.txt"},
	}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Deleting a tag is told twice, deleting a branch once. The two must look alike to whoever drops doubles.
func TestDeletions(t *testing.T) {
	var told []app.Push
	for name, event := range map[string]string{"push.tag-delete": "push", "delete.tag": "delete"} {
		text := readFile(t, "testdata/"+name+".json")
		p, err := testForge(secret).Push(giteaHeader(event, text), text)
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, p)
	}
	if told[0].Ref != told[1].Ref || told[0].After != told[1].After || !app.ZeroHash(told[0].After) || !told[0].Deleted || !told[1].Deleted {
		t.Errorf("got %+v", told)
	}
	text := readFile(t, "testdata/delete.sha256.json")
	if p, err := testForge(secret).Push(giteaHeader("delete", text), text); err != nil || len(p.After) != 64 {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestPushHeaders(t *testing.T) {
	text := readFile(t, "testdata/push.branch.json")
	const good = "4711:acme/site refs/heads/main ccccccc 3 files"
	for name, tc := range map[string]struct {
		change func(http.Header)
		want   string
	}{
		"Gitea": {func(http.Header) {}, good},
		"Forgejo": {func(h http.Header) {
			h.Set("X-Forgejo-Event", "push")
			h.Set("X-Forgejo-Delivery", "1")
			h.Set("X-Forgejo-Signature", sign(secret, text))
		}, good},
		"Forgejo alone": {func(h http.Header) {
			for name := range h {
				h.Del(name)
			}
			h.Set("X-Forgejo-Event", "push")
			h.Set("X-Forgejo-Delivery", "1")
			h.Set("X-Forgejo-Signature", sign(secret, text))
		}, good},
		"hub signature": {func(h http.Header) { h.Del("X-Gitea-Signature") }, good},
		"no signature": {func(h http.Header) {
			h.Del("X-Gitea-Signature")
			h.Del("X-Hub-Signature-256")
		}, "refused"},
		"empty signatures": {func(h http.Header) {
			h.Set("X-Gitea-Signature", "")
			h.Set("X-Hub-Signature-256", "sha256=")
		}, "refused"},
		"sha1 only": {func(h http.Header) {
			h.Del("X-Gitea-Signature")
			h.Set("X-Hub-Signature-256", "sha1="+sign(secret, text))
		}, "refused"},
		"wrong signature":   {func(h http.Header) { h.Set("X-Gitea-Signature", sign("other", text)) }, "refused"},
		"wrong for Forgejo": {func(h http.Header) { h.Set("X-Forgejo-Signature", sign("other", text)) }, "refused"},
		"no delivery":       {func(h http.Header) { h.Del("X-Gitea-Delivery") }, "malformed"},
		"no event":          {func(h http.Header) { h.Del("X-Gitea-Event") }, "malformed"},
		"long event":        {func(h http.Header) { h.Set("X-Gitea-Event", strings.Repeat("a", 300)) }, "malformed"},
		"form without one":  {func(h http.Header) { h.Set("Content-Type", "application/x-www-form-urlencoded") }, "refused"},
	} {
		h := giteaHeader("push", text)
		tc.change(h)
		if got := describe(testForge(secret).Push(h, text)); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	h := giteaHeader("push", text)
	h.Set("X-Gitea-Signature", sign("", text))
	if got := describe(testForge("").Push(h, text)); got != "refused" {
		t.Errorf("empty secret: %s", got)
	}
	for _, text := range []string{"", "null", "[]", "{", string(text[:len(text)/2])} {
		if got := describe(testForge(secret).Push(giteaHeader("push", []byte(text)), []byte(text))); got != "malformed" {
			t.Errorf("%.20q: %s", text, got)
		}
	}
}

// The recorded payloads lie beside the repository where it is developed; the rules they show are also those of testdata.
func TestPushOfRecordedPayloads(t *testing.T) {
	const dir = "../../../shared/payloads/gitea"
	if _, err := os.Stat(dir); err != nil {
		t.Logf("no recorded payloads here: %v", err)
		return
	}
	const main = "1:acme/site refs/heads/main "
	want := map[string]string{
		"push.authorization-header":       main + "8bc61cd 1 files",
		"push.branch-create-no-commits":   "1:acme/site refs/heads/staging bad9401 0 files",
		"push.branch-create-with-commits": "1:acme/site refs/heads/feature/new-header 3e1af74 1 files",
		"push.contents-api":               main + "edacc56 1 files",
		"push.eight-commits":              main + "951169d 5 files",
		"push.empty-commits":              main + "262664e 0 files",
		"push.first-branch":               main + "ff4ad1c 1 files",
		"push.first-branch.org-hook":      main + "ff4ad1c 1 files",
		"push.force-amend":                main + "0cf2438 0 files",
		"push.force-back":                 main + "bad9401 0 files",
		"push.form":                       main + "8bc61cd 1 files",
		"push.merge-commit":               main + "467612d 1 files",
		"push.no-secret":                  "refused",
		"push.single-commit":              main + "db654f8 1 files",
		"push.tag-by-release":             "1:acme/site refs/tags/v2.0.0 467612d 0 files",
		"push.tag-delete":                 "1:acme/site refs/tags/v1.0.0 deleted",
		"push.tag-lightweight":            "1:acme/site refs/tags/v1.0.0 bad9401 0 files",
		"push.tag-moved":                  "1:acme/site refs/tags/v1.0.0 bc0deee 0 files",
		"push.test-delivery":              "ignored",
		"push.three-commits":              main + "b363d1b 3 files",
		"push.two-refs-1of2":              main + "428d087 1 files",
		"push.two-refs-2of2":              "1:acme/site refs/heads/staging e3e4c88 1 files",
		"push.user-repo":                  "3:dev/notes refs/heads/master 7347c3f 1 files",
		"delete.branch":                   "1:acme/site refs/heads/staging deleted",
		"delete.tag":                      "1:acme/site refs/tags/v1.0.0 deleted",

		"package.container.org-hook":        "0: git.example.com:3000/acme/site:1.0.0  ",
		"package.container-latest.org-hook": "0: git.example.com:3000/acme/site:latest  ",
	}
	files, _ := filepath.Glob(dir + "/*.headers")
	if len(files) < 40 {
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
