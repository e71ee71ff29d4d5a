package gitlab

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tinyforge/app"
)

// The project of testdata is 4711. Whoever administers another one can see that one's secret, and nothing follows.
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
		p, err := testForge(t, secret, "").Push(gitlabHeader("push", tc.key), text)
		if got := describe(p, err); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
		if p.RepositorySigned != (name == "its own") {
			t.Errorf("%s: RepositorySigned is %v", name, p.RepositorySigned)
		}
		if got := describe(testForge(t, "", "").Push(gitlabHeader("push", tc.key), text)); got != "refused" {
			t.Errorf("%s to a forge without a secret: %s", name, got)
		}
	}
	none := app.RepositorySecret("", 4711)
	if got := describe(testForge(t, "", "").Push(gitlabHeader("push", none), text)); got != "refused" {
		t.Errorf("what is derived from no secret: %s", got)
	}
}

// A text with several projects, in several spellings, is about the one whose secret came with it, or about none.
func TestPushIsAboutTheRepositoryWhoseSecretItHas(t *testing.T) {
	const ours, theirs = `{"id":4711,"path_with_namespace":"acme/site"}`, `{"id":4712,"path_with_namespace":"acme/api"}`
	common := fmt.Sprintf(`"object_kind":"push","ref":"refs/heads/main","before":%q,"after":%q`, strings.Repeat("a", 40), strings.Repeat("c", 40))
	accepted := 0
	for _, text := range []string{
		`{"project":` + ours + `,"project":` + theirs + `,` + common + `}`,
		`{"project":` + theirs + `,"project":` + ours + `,` + common + `}`,
		`{"project":` + ours + `,"Project":` + theirs + `,` + common + `}`,
		`{"Project":` + theirs + `,"project":` + ours + `,` + common + `}`,
		`{"project_id":4711,"project":` + theirs + `,` + common + `}`,
		`{"project_id":4712,"project":` + ours + `,` + common + `}`,
		`{"project":{"id":4711,"ID":4712,"path_with_namespace":"acme/site"},` + common + `}`,
		`{"project":{"Id":4712,"id":4711,"path_with_namespace":"acme/site"},` + common + `}`,
		`{"project":` + ours + `,"project":null,` + common + `}`,
		`{"project":` + ours + `,` + common + `}{"project":` + theirs + `,` + common + `}`,
		`[{"project":` + ours + `,` + common + `}]`,
		`{"project":{"id":"4711","path_with_namespace":"acme/site"},` + common + `}`,
		`{"project":{"id":4711.0,"path_with_namespace":"acme/site"},` + common + `}`,
		`{"project":{"path_with_namespace":"acme/site"},` + common + `}`,
		`{"project":4711,` + common + `}`,
		`{` + common + `}`,
	} {
		byToken, tokenErr := testForge(t, secret, "").Push(gitlabHeader("push", app.RepositorySecret(secret, 4711)), []byte(text))
		h := signed("push", repositoryKey(signingToken, 4711), moment, []byte(text))
		bySignature, signatureErr := testForge(t, secret, signingToken).Push(h, []byte(text))
		if describe(byToken, tokenErr) != describe(bySignature, signatureErr) {
			t.Errorf("%s: %v with the token, %v signed", text, tokenErr, signatureErr)
		}
		switch {
		case tokenErr == nil && byToken.Repository.ExternalID != 4711:
			t.Errorf("%s is taken for a push to %d", text, byToken.Repository.ExternalID)
		case tokenErr == nil:
			accepted++
		case !errors.Is(tokenErr, app.ErrSignature) && !errors.Is(tokenErr, app.ErrMalformed):
			t.Errorf("%s: %v", text, tokenErr)
		}
	}
	if accepted < 4 {
		t.Errorf("only %d were accepted: the texts test nothing", accepted)
	}
}
