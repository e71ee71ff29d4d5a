package app_test

import (
	"strings"
	"testing"

	"tinyforge/app"
)

func TestParseImage(t *testing.T) {
	for name, want := range map[string][2]string{
		"ghcr.io/acme/site":                    {"ghcr.io/acme/site", ""},
		"ghcr.io/Acme/Site:V1":                 {"ghcr.io/acme/site", "V1"},
		"127.0.0.1:3000/acme/site":             {"127.0.0.1:3000/acme/site", ""},
		"127.0.0.1:3000/acme/site:1":           {"127.0.0.1:3000/acme/site", "1"},
		"ghcr.io/acme/site/api__x:1.0.0":       {"ghcr.io/acme/site/api__x", "1.0.0"},
		"":                                     {},
		"site":                                 {},
		"ghcr.io/":                             {},
		"ghcr.io/../site":                      {},
		"ghcr.io/acme//site":                   {},
		"ghcr.io/acme/site:a b":                {},
		"ghcr.io/acme/site:{{.Commit}}":        {},
		"ghcr.io/acme/site\n":                  {},
		"user@ghcr.io/acme/site":               {},
		"ghcr.io/" + strings.Repeat("a/", 999): {},
	} {
		image, tag, ok := app.ParseImage(name)
		if ok != (want[0] != "") || ok && (image != want[0] || tag != want[1]) {
			t.Errorf("%.80q is %q %q, %t", name, image, tag, ok)
		}
	}
}

func TestSameHost(t *testing.T) {
	for _, tt := range []struct {
		address, registry string
		want              bool
	}{
		{"https://git.example.com", "git.example.com", true},
		{"https://git.example.com/sub", "GIT.example.com", true},
		{"https://git.example.com", "git.example.com:443", true},
		{"https://git.example.com:443", "git.example.com", true},
		{"http://git.example.com", "git.example.com:80", true},
		{"http://git.example.com", "git.example.com:443", false},
		{"https://git.example.com", "git.example.com:80", false},
		{"http://127.0.0.1:3000", "127.0.0.1:3000", true},
		{"http://127.0.0.1:3000", "127.0.0.1", false},
		{"http://[::1]:3000", "[::1]:3000", true},
		{"https://git.example.com", "git.example.com.evil.example", false},
		{"https://git.example.com", "git.example.com@evil.example", false},
		{"https://git.example.com", "", false},
		{"", "", false},
	} {
		if got := app.SameHost(tt.address, tt.registry); got != tt.want {
			t.Errorf("%s and %s: %t", tt.address, tt.registry, got)
		}
	}
}
