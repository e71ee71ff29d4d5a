package github

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
		body := readFile(f, file)
		f.Add(event, "application/json", body)
		f.Add(event, "application/x-www-form-urlencoded", []byte("payload="+url.QueryEscape(string(body))))
	}
	f.Fuzz(func(t *testing.T, event, contentType string, body []byte) {
		h := signedHeader(event, contentType, body)
		p, err := testForge(secret).Push(h, body)
		switch {
		case errors.Is(err, app.ErrIgnored), errors.Is(err, app.ErrMalformed):
			if p.DeliveryID != "" || p.Installation != nil {
				t.Errorf("an error with a push: %+v", p)
			}
		case err != nil:
			t.Errorf("unexpected error: %v", err)
		case p.Installation != nil:
			if p.Installation.Installation.ExternalID <= 0 || p.Installation.Installation.Account == "" {
				t.Errorf("installation %+v", p.Installation)
			}
		case p.Package != nil:
			if _, _, ok := app.ParseImage(p.Package.Name()); !ok || p.Deleted || p.Commit != "" && !app.ValidHash(p.Commit) ||
				p.Ref != "" && !app.ValidRef(p.Ref) || p.DeliveryID == "" {
				t.Errorf("package %+v in %+v", p.Package, p)
			}
		default:
			checkPush(t, p)
		}
		if _, err := testForge("").Push(h, body); !errors.Is(err, app.ErrSignature) {
			t.Errorf("accepted without a secret: %v", err)
		}
		h.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64))
		if _, err := testForge(secret).Push(h, body); !errors.Is(err, app.ErrSignature) {
			t.Errorf("accepted with a wrong signature: %v", err)
		}
	})
}

func checkPush(t *testing.T, p app.Push) {
	t.Helper()
	if _, _, ok := app.SplitName(p.Repository.FullName); !ok || p.Repository.ExternalID <= 0 || p.Repository.ForgeID != 3 {
		t.Errorf("repository %+v", p.Repository)
	}
	if !app.ValidRef(p.Ref) || !app.ValidHash(p.Before) || !app.ValidHash(p.After) || p.Before == p.After {
		t.Errorf("ref %q %q %q", p.Ref, p.Before, p.After)
	}
	if p.Deleted != (p.Commit == "") || !p.Deleted && !app.ValidHash(p.Commit) {
		t.Errorf("deleted %v, commit %q", p.Deleted, p.Commit)
	}
	if strings.ContainsAny(p.Message+p.Author, "\n\x00") || p.DeliveryID == "" || p.Event == "" {
		t.Errorf("push %+v", p)
	}
}
