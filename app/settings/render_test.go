package settings_test

import (
	"net/http"
	"testing"
)

// TestSlashesAtTheEnd: they lead to the page without them, and to no other host.
func TestSlashesAtTheEnd(t *testing.T) {
	b := newWorld(t).owner()
	for path, to := range map[string]string{
		"/workloads/": "/workloads", "/a%20b/": "/a%20b", "/%D0%B6/": "/%D0%B6",
		"/%09/evil.example/": "", "/%5Cevil.example/": "", "/%5C%09/evil.example/": "", "/%0A/evil.example/": "", "/%2F/evil.example/": "",
		"/a%5Cb/": "", "/nowhere": "",
	} {
		p := b.get(path)
		want := http.StatusPermanentRedirect
		if to == "" {
			want = http.StatusNotFound
		}
		if p.StatusCode != want || p.Header.Get("Location") != to {
			t.Errorf("%s answers %d to %q, want %d to %q", path, p.StatusCode, p.Header.Get("Location"), want, to)
		}
	}
}
