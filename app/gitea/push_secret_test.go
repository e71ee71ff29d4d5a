package gitea

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tinyforge/app"
)

// signedWith is what Gitea sends for text from a webhook with this secret.
func signedWith(key, event string, text []byte) http.Header {
	h := giteaHeader(event, text)
	for name := range h {
		if strings.HasSuffix(name, "Signature") {
			h.Set(name, sign(key, text))
		}
	}
	h.Set("X-Hub-Signature-256", "sha256="+sign(key, text))
	return h
}

// The repository of testdata is 4711. Whoever administers another one can see that one's secret, and nothing follows.
func TestPushWithTheSecretOfARepository(t *testing.T) {
	const good = "4711:acme/site refs/heads/main ccccccc 3 files"
	text := readFile(t, "testdata/push.branch.json")
	for name, tc := range map[string]struct{ key, want string }{
		"its own":          {app.RepositorySecret(secret, 4711), good},
		"the forge's":      {secret, good},
		"another's":        {app.RepositorySecret(secret, 4712), "refused"},
		"one that begins":  {app.RepositorySecret(secret, 471), "refused"},
		"of no repository": {app.RepositorySecret(secret, 0), "refused"},
		"of another forge": {app.RepositorySecret(secret+"x", 4711), "refused"},
		"twice derived":    {app.RepositorySecret(app.RepositorySecret(secret, 4711), 4711), "refused"},
		"empty":            {"", "refused"},
	} {
		h := signedWith(tc.key, "push", text)
		p, err := testForge(secret).Push(h, text)
		if got := describe(p, err); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
		if p.RepositorySigned != (name == "its own") {
			t.Errorf("%s: RepositorySigned is %v", name, p.RepositorySigned)
		}
		h.Set("Content-Type", "application/x-www-form-urlencoded")
		if got := describe(testForge(secret).Push(h, []byte("payload="+url.QueryEscape(string(text))))); got != tc.want {
			t.Errorf("%s in a form: %s, want %s", name, got, tc.want)
		}
		if got := describe(testForge("").Push(signedWith(tc.key, "push", text), text)); got != "refused" {
			t.Errorf("%s to a forge without a secret: %s", name, got)
		}
	}
	deletion := readFile(t, "testdata/delete.branch.json")
	if got := describe(testForge(secret).Push(signedWith(app.RepositorySecret(secret, 4711), "delete", deletion), deletion)); got != "4711:acme/site refs/heads/feature/x deleted" {
		t.Errorf("deletion: %s", got)
	}
}

// What the forge without a secret would derive must not verify either.
func TestPushWithWhatIsDerivedFromNoSecret(t *testing.T) {
	text := readFile(t, "testdata/push.branch.json")
	for _, key := range []string{app.RepositorySecret("", 4711), sign("", []byte("repository 4711"))} {
		if got := describe(testForge("").Push(signedWith(key, "push", text), text)); got != "refused" {
			t.Errorf("signed with %q: %s", key, got)
		}
	}
}

// A text with several repositories, in several spellings, is about the one whose secret signed it, or about none.
func TestPushIsAboutTheRepositoryThatSignedIt(t *testing.T) {
	const ours, theirs = `{"id":4711,"full_name":"acme/site"}`, `{"id":4712,"full_name":"acme/api"}`
	common := fmt.Sprintf(`"ref":"refs/heads/main","before":%q,"after":%q`, strings.Repeat("a", 40), strings.Repeat("c", 40))
	accepted := 0
	for _, text := range []string{
		`{"repository":` + ours + `,"repository":` + theirs + `,` + common + `}`,
		`{"repository":` + theirs + `,"repository":` + ours + `,` + common + `}`,
		`{"repository":` + ours + `,"Repository":` + theirs + `,` + common + `}`,
		`{"Repository":` + theirs + `,"repository":` + ours + `,` + common + `}`,
		`{"repository":` + ours + `,"repoſitory":` + theirs + `,` + common + `}`,
		`{"repository":{"id":4711,"ID":4712,"full_name":"acme/site"},` + common + `}`,
		`{"repository":{"Id":4712,"id":4711,"full_name":"acme/site"},` + common + `}`,
		`{"repository":` + ours + `,"repository":null,` + common + `}`,
		`{"repository":` + ours + `,` + common + `}{"repository":` + theirs + `,` + common + `}`,
		`[{"repository":` + ours + `,` + common + `}]`,
		`{"repository":{"id":"4711","full_name":"acme/site"},` + common + `}`,
		`{"repository":{"id":4711.0,"full_name":"acme/site"},` + common + `}`,
		`{"repository":{"full_name":"acme/site"},` + common + `}`,
		`{"repository":4711,` + common + `}`,
		`{` + common + `}`,
	} {
		for _, event := range []string{"push", "delete"} {
			p, err := testForge(secret).Push(signedWith(app.RepositorySecret(secret, 4711), event, []byte(text)), []byte(text))
			if err == nil && p.Repository.ExternalID != 4711 {
				t.Errorf("%s is taken for a push to %d", text, p.Repository.ExternalID)
			}
			if err == nil {
				accepted++
			} else if !errors.Is(err, app.ErrSignature) && !errors.Is(err, app.ErrMalformed) {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
	if accepted < 4 {
		t.Errorf("only %d were accepted: the texts test nothing", accepted)
	}
}
