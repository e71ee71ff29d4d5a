package gitlab

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"tinyforge/app"
)

func FuzzPush(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.json")
	for _, file := range files {
		kind, _, _ := strings.Cut(filepath.Base(file), ".")
		f.Add(kind, readFile(f, file))
	}
	key := tokenKey(f)
	f.Fuzz(func(t *testing.T, kind string, text []byte) {
		p, err := testForge(t, secret, "").Push(gitlabHeader(kind, secret), text)
		switch {
		case errors.Is(err, app.ErrIgnored), errors.Is(err, app.ErrMalformed):
			if p.DeliveryID != "" {
				t.Errorf("an error with a push: %+v", p)
			}
		case err != nil:
			t.Errorf("unexpected error: %v", err)
		default:
			checkPush(t, p)
		}
		if _, signedErr := testForge(t, secret, signingToken).Push(signed(kind, key, moment, text), text); (signedErr == nil) != (err == nil) {
			t.Errorf("signed: %v, with the token: %v", signedErr, err)
		}
		another := gitlabHeader(kind, app.RepositorySecret(secret, 12345))
		if p, err := testForge(t, secret, "").Push(another, text); err == nil && p.Repository.ExternalID != 12345 {
			t.Errorf("accepted with another repository's secret: %+v", p)
		}
		narrow := signed(kind, repositoryKey(signingToken, 12345), moment, text)
		if p, err := testForge(t, secret, signingToken).Push(narrow, text); err == nil && p.Repository.ExternalID != 12345 {
			t.Errorf("accepted with another repository's signature: %+v", p)
		}
		for name, forge := range map[string]*Forge{"secret": testForge(t, "", ""), "signature": testForge(t, secret, signingToken)} {
			if _, err := forge.Push(gitlabHeader(kind, secret), text); !errors.Is(err, app.ErrSignature) {
				t.Errorf("accepted without a %s: %v", name, err)
			}
		}
	})
}

func checkPush(t *testing.T, p app.Push) {
	t.Helper()
	if !app.NestedName(p.Repository.FullName) || p.Repository.ExternalID <= 0 || p.Repository.ForgeID != 3 {
		t.Errorf("repository %+v", p.Repository)
	}
	if !app.ValidRef(p.Ref) || !app.ValidHash(p.After) || p.Before == p.After || p.FilesComplete || p.Installation != nil {
		t.Errorf("push %+v", p)
	}
	if p.Deleted != (p.Commit == "") || p.Deleted != app.ZeroHash(p.After) || !p.Deleted && !app.ValidHash(p.Commit) {
		t.Errorf("deleted %v, commit %q, after %q", p.Deleted, p.Commit, p.After)
	}
	if strings.ContainsAny(p.Message+p.Author, "\n\x00") || p.DeliveryID == "" || p.Event != "push" {
		t.Errorf("push %+v", p)
	}
}
