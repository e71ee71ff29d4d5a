package main

import (
	"io"
	"slices"
	"strings"
	"testing"

	"tinyforge/db"
)

// TestConfigOfTheRegistry: serve and the registry may share an environment, and each complains of its own.
func TestConfigOfTheRegistry(t *testing.T) {
	env := []string{"TINYFORGE_REGISTRY=127.0.0.1:5000", "TINYFORGE_REGISTRY_USER=tinyforge", "TINYFORGE_REGISTRY_PASSWORD=sesame", "TINYFORGE_REGISTRY_LISTEN=:5000",
		"TINYFORGE_REGISTRY_PULL_USER=tinyforge-pull", "TINYFORGE_REGISTRY_PULL_PASSWORD=melon", "TINYFORGE_REGISTRY_PLAIN_HTTP=true", "TINYFORGE_WORKERS=1"}
	for _, name := range []string{"serve", "registry"} {
		c, _, err := readConfig(name, nil, env, io.Discard)
		to, toErr := c.registry()
		if err != nil || toErr != nil || to == nil || to.Host != "127.0.0.1:5000" || to.Password != "sesame" || to.Nodes == nil || to.Nodes.Password != "melon" {
			t.Errorf("%s: %v, %v", name, err, toErr)
		}
		for _, password := range []string{"sesame", "melon"} {
			if !slices.ContainsFunc(c.secrets(), func(s db.Secret) bool { return s.Value == password }) {
				t.Errorf("%s: the log may show the password %s", name, password)
			}
		}
	}
	for name, tests := range map[string]map[string][]string{
		"serve": {
			"without http://":                        {"TINYFORGE_REGISTRY=http://x.example.com"},
			"TINYFORGE_REGISTRY_PASSWORD is missing": {"TINYFORGE_REGISTRY=x.example.com", "TINYFORGE_REGISTRY_USER=ann"},
			"TINYFORGE_REGISTRY_USER is missing":     {"TINYFORGE_REGISTRY=x.example.com", "TINYFORGE_REGISTRY_PASSWORD=x"},
			"give the registry's host":               {"TINYFORGE_REGISTRY_USER=ann", "TINYFORGE_REGISTRY_PASSWORD=x"},
			"PULL_USER is set, but not --registry":   {"TINYFORGE_REGISTRY_PULL_USER=ann", "TINYFORGE_REGISTRY_PULL_PASSWORD=x"},
			"PULL_PASSWORD belong together":          {"TINYFORGE_REGISTRY=x.example.com", "TINYFORGE_REGISTRY_PULL_PASSWORD=x"},
		},
		"registry": {
			"belong together":                   {"TINYFORGE_REGISTRY_KEY=/x"},
			"--registry-listen :5000: other":    {"TINYFORGE_REGISTRY_LISTEN=:5000"},
			"in clear: give --registry-cert":    {"TINYFORGE_REGISTRY_LISTEN=registry.example.com:5000"},
			"at least one second":               {"TINYFORGE_REGISTRY_KEEP=1ms"},
			"give an address such as":           {"TINYFORGE_REGISTRY_LISTEN=5000"},
			"the user of tinyforge registry is": {"TINYFORGE_REGISTRY_USER=ann"},
			"may only pull is tinyforge-pull":   {"TINYFORGE_REGISTRY_PULL_USER=ann"},
			"use auto, text or json":            {"TINYFORGE_LOG_FORMAT=xml"},
		},
	} {
		for want, env := range tests {
			if _, _, err := readConfig(name, nil, env, io.Discard); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s with %q: got %v, want %q", name, env, err, want)
			}
		}
	}
}

// TestPlainHTTPIsAskedFor: a password goes in clear to other machines only where somebody wanted it.
func TestPlainHTTPIsAskedFor(t *testing.T) {
	for _, options := range [][]string{
		nil, {"--registry-listen", "[::1]:5000"}, {"--registry-listen", "localhost:5000"}, {"--registry-listen", "0.0.0.0:5000", "--registry-plain-http"},
		{"--registry-listen", ":5000", "--registry-cert", "/x.pem", "--registry-key", "/x.key"},
	} {
		if _, _, err := readConfig("registry", options, nil, io.Discard); err != nil {
			t.Errorf("%q: %v", options, err)
		}
	}
}

// TestImagesAreInNoBackup: a registry may share the data folder of serve; its password is a part of what Tinyforge knows.
func TestImagesAreInNoBackup(t *testing.T) {
	var c config
	for name, want := range map[string]bool{"registry": true, "registry/lock": true, "registry-password": false} {
		if c.notBackedUp(name) != want {
			t.Errorf("%s is left out: %v, want %v", name, !want, want)
		}
	}
}
