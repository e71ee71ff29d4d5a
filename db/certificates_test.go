package db_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"tinyforge/db"
)

func TestCertificateFiles(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		secret := []byte("-----BEGIN EC PRIVATE KEY-----")
		for _, name := range []string{"a/one.key", "a/b/two.key", "ab/three.key"} {
			f.check(f.SaveCertificateFiles(t.Context(), db.CertificateFile{Name: name, Content: []byte("before")}))
			f.check(f.SaveCertificateFiles(t.Context(), db.CertificateFile{Name: name, Content: secret}))
		}
		other := f.again()
		file, err := other.CertificateFile(t.Context(), "a/one.key")
		if err != nil || !bytes.Equal(file.Content, secret) || file.Size != int64(len(secret)) || bytes.Contains(file.Sealed, []byte("PRIVATE")) || time.Since(file.UpdatedAt) > time.Minute {
			t.Errorf("read %+v, %v", file, err)
		}
		for folder, want := range map[string][]string{"": {"a/b/two.key", "a/one.key", "ab/three.key"}, "a": {"a/b/two.key", "a/one.key"}, "none": nil} {
			if names, err := other.CertificateFiles(t.Context(), folder); err != nil || !slices.Equal(names, want) {
				t.Errorf("below %q: %q, %v", folder, names, err)
			}
		}
		f.check(f.RemoveCertificateFiles(t.Context(), "a"))
		f.check(f.RemoveCertificateFiles(t.Context(), "ab/three.key"))
		if _, err := f.CertificateFile(t.Context(), "a/b/two.key"); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("what was removed: %v", err)
		}
		if names, err := f.CertificateFiles(t.Context(), ""); err != nil || len(names) > 0 {
			t.Errorf("left are %q, %v", names, err)
		}
	})
}

func TestCertificateLocks(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		takes := func(name, owner string, lease time.Duration, want bool) {
			t.Helper()
			if got, err := f.LockCertificates(t.Context(), name, owner, lease); err != nil || got != want {
				t.Errorf("%s takes %s: %v, %v", owner, name, got, err)
			}
		}
		takes("order", "one", time.Hour, true)
		takes("order", "one", time.Hour, true)
		takes("order", "two", time.Hour, false)
		takes("another", "two", time.Hour, true)
		f.check(f.UnlockCertificates(t.Context(), "order", "two"))
		takes("order", "two", time.Hour, false)
		f.check(f.UnlockCertificates(t.Context(), "order", "one"))
		takes("order", "two", -time.Second, true) // and it died
		takes("order", "one", time.Hour, true)
	})
}
