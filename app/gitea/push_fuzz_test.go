package gitea

import (
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"tinyforge/app"
)

func FuzzPush(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.json")
	for _, file := range files {
		event, _, _ := strings.Cut(filepath.Base(file), ".")
		f.Add(event, false, readFile(f, file))
		f.Add(event, true, readFile(f, file))
	}
	f.Fuzz(func(t *testing.T, event string, form bool, text []byte) {
		h, body := giteaHeader(event, text), text
		if form {
			h.Set("Content-Type", "application/x-www-form-urlencoded")
			body = []byte("payload=" + url.QueryEscape(string(text)))
		}
		p, err := testForge(secret).Push(h, body)
		switch {
		case errors.Is(err, app.ErrIgnored), errors.Is(err, app.ErrMalformed):
			if p.DeliveryID != "" {
				t.Errorf("an error with a push: %+v", p)
			}
		case err != nil:
			t.Errorf("unexpected error: %v", err)
		case p.Package != nil:
			checkPackage(t, p)
		default:
			checkPush(t, p)
		}
		another := signedWith(app.RepositorySecret(secret, 12345), event, text)
		another.Set("Content-Type", h.Get("Content-Type"))
		if p, err := testForge(secret).Push(another, body); err == nil && p.Repository.ExternalID != 12345 {
			t.Errorf("accepted with another repository's secret: %+v", p)
		}
		if _, err := testForge("").Push(h, body); !errors.Is(err, app.ErrSignature) {
			t.Errorf("accepted without a secret: %v", err)
		}
		h.Set("X-Gitea-Signature", strings.Repeat("0", 64))
		if _, err := testForge(secret).Push(h, body); !errors.Is(err, app.ErrSignature) {
			t.Errorf("accepted with a wrong signature: %v", err)
		}
	})
}

func checkPackage(t *testing.T, p app.Push) {
	t.Helper()
	_, tag, ok := app.ParseImage(p.Package.Name())
	if !ok || tag == "" || p.Ref != "" || p.Commit != "" || p.Deleted || p.DeliveryID == "" || p.Event != "package" {
		t.Errorf("package %+v in %+v", p.Package, p)
	}
}

func checkPush(t *testing.T, p app.Push) {
	t.Helper()
	if _, _, ok := app.SplitName(p.Repository.FullName); !ok || p.Repository.ExternalID <= 0 || p.Repository.ForgeID != 3 {
		t.Errorf("repository %+v", p.Repository)
	}
	if !app.ValidRef(p.Ref) || !app.ValidHash(p.After) || p.Before == p.After || p.FilesComplete || p.Installation != nil {
		t.Errorf("push %+v", p)
	}
	if p.Deleted != (p.Commit == "") || p.Deleted != app.ZeroHash(p.After) || !p.Deleted && !app.ValidHash(p.Commit) {
		t.Errorf("deleted %v, commit %q, after %q", p.Deleted, p.Commit, p.After)
	}
	if strings.ContainsAny(p.Message+p.Author, "\n\x00") || p.DeliveryID == "" || p.Event == "" {
		t.Errorf("push %+v", p)
	}
}
