package github_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"tinyforge/app"
	"tinyforge/app/forgetest"
	"tinyforge/db"
)

// What Docker gets can read packages, and nothing else.
func TestRegistryAccountCanReadPackagesOnly(t *testing.T) {
	s, repo, _ := start(t)
	forge := openServer(t, s)
	asked := 0
	s.Fault(func(r *http.Request) *forgetest.Fault {
		if !strings.HasSuffix(r.URL.Path, "/access_tokens") {
			return nil
		}
		asked++
		var ask struct {
			Permissions map[string]string `json:"permissions"`
		}
		if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || len(ask.Permissions) != 1 || ask.Permissions["packages"] != "read" {
			t.Errorf("asked for %+v, %v", ask, err)
		}
		return &forgetest.Fault{Status: http.StatusCreated, Body: `{"token":"ghs_packages","expires_at":"2050-01-01T00:00:00Z"}`}
	})
	for range 2 { // one that was revoked, or has too little, must not be kept
		account, ok, err := forge.(app.Registrar).RegistryAccount(t.Context(), repo, s.RegistryHost())
		if err != nil || !ok || account != (app.RegistryAccount{Username: "x-access-token", Password: "ghs_packages"}) {
			t.Errorf("got %t, %v", ok, err)
		}
	}
	if asked != 2 {
		t.Errorf("asked for %d tokens", asked)
	}
}

func TestRegistryAccountFailures(t *testing.T) {
	s, repo, _ := start(t)
	forge := openServer(t, s)
	s.Fault(func(*http.Request) *forgetest.Fault {
		return &forgetest.Fault{Status: http.StatusUnprocessableEntity, Reflect: true}
	})
	account, ok, err := forge.(app.Registrar).RegistryAccount(t.Context(), repo, s.RegistryHost())
	if !ok || account.Password != "" {
		t.Errorf("got an account, %t", ok)
	}
	checkStatus(t, err, http.StatusUnprocessableEntity, 0)
	repo.InstallationID = 0
	if _, _, err := forge.(app.Registrar).RegistryAccount(t.Context(), repo, s.RegistryHost()); err == nil || !strings.Contains(err.Error(), "not installed on acme/site") {
		t.Errorf("without an installation: %v", err)
	}
}

func TestRegistryHosts(t *testing.T) {
	s, err := forgetest.Start(forgetest.Options{Kind: forgetest.GitHub})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for _, tc := range []struct {
		url, host string
		ours      bool
	}{
		{"", "ghcr.io", true},
		{"https://github.com", "ghcr.io", true},
		{"https://github.com", "ghcr.io:443", true},
		{"https://github.com", "ghcr.io:80", false},
		{"https://github.com", "containers.github.com", false},
		{"https://github.com", "docker.io", false},
		{"https://git.example.com", "containers.git.example.com", true},
		{"https://git.example.com", "ghcr.io", false},
		{"https://git.example.com", "git.example.com", false},
		{"https://git.example.com:8443", "containers.git.example.com:8443", true},
	} {
		row := s.Row("forge")
		row.URL = tc.url
		forge, err := open(t, row)
		if err != nil {
			t.Fatal(err)
		}
		// without an installation, so that only its own registry is worth an error
		if _, ok, err := forge.(app.Registrar).RegistryAccount(t.Context(), db.Repository{FullName: "acme/site"}, tc.host); ok != tc.ours || (err != nil) != tc.ours {
			t.Errorf("%s and %s: %t, %v", tc.url, tc.host, ok, err)
		}
	}
}
