package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestHelp: -h of each command is no error; it says how to write the command, and lists the options that it uses and no
// others.
func TestHelp(t *testing.T) {
	store := []string{"data", "TINYFORGE_DATABASE", "TINYFORGE_KEY"}
	want := map[string][]string{
		"serve": {
			"access-log", "acme-ca", "acme-email", "build-timeout", "docker-host", "docker-network", "drain", "internal-ca", "keep-releases", "listen", "listen-public",
			"liveness", "log-format", "log-level", "max-replicas", "min-free", "npm-adopt", "npm-forward", "npm-grace", "npm-identity", "npm-proxy", "npm-url",
			"proxy-http", "proxy-https", "proxy-socket", "public-url", "registry", "router", "runtimes", "site-program", "trusted-proxies", "workers", "TINYFORGE_NPM_PASSWORD",
			"TINYFORGE_REGISTRY_PASSWORD", "TINYFORGE_REGISTRY_PULL_PASSWORD", "TINYFORGE_REGISTRY_PULL_USER", "TINYFORGE_REGISTRY_USER",
		},
		"proxy":    {"access-log", "acme-ca", "acme-email", "drain", "internal-ca", "log-format", "log-level", "proxy-http", "proxy-https", "proxy-socket", "trusted-proxies"},
		"registry": {"log-format", "log-level", "registry-cert", "registry-keep", "registry-key", "registry-listen", "registry-plain-http", "TINYFORGE_REGISTRY_PASSWORD", "TINYFORGE_REGISTRY_PULL_PASSWORD"},
		"apply":    {"prune", "public-url", "router"}, "sign-in-link": {"listen", "public-url"}, "remove": {"volumes"}, "migrate": {"to", "use-copied"},
		"backup": {"with-key"}, "restore": {}, "rotate-key": {},
		"deployments": {}, "log": {}, "redeploy": {}, "rollback": {}, "scale": {"force", "max-replicas"}, "cancel": {},
	}
	for _, c := range commands() {
		var out bytes.Buffer
		if err := run(t.Context(), []string{c.name, "-h"}, []string{"TINYFORGE_NONSENSE=1"}, &out, io.Discard); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s -h: %v", c.name, err)
		}
		for _, part := range []string{"Usage: tinyforge " + c.name, c.args, "\nExample:\n  tinyforge " + c.name} {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%s -h does not say %q:\n%s", c.name, part, out.String())
			}
		}
		var listed []string
		for _, m := range regexp.MustCompile(`(?m)^  --([a-z-]+).*\n      \S|^  (TINYFORGE_[A-Z_]+)$`).FindAllStringSubmatch(out.String(), -1) {
			listed = append(listed, m[1]+m[2])
		}
		var options []string
		if more, has := want[c.name]; has {
			options = append(more, store...)
		}
		if c.name == "proxy" || c.name == "registry" { // they have no database
			options = append(want[c.name], "data")
		}
		slices.Sort(listed)
		slices.Sort(options)
		if !slices.Equal(listed, options) {
			t.Errorf("%s -h lists %q, want %q:\n%s", c.name, listed, options, out.String())
		}
	}
}

// TestHelpOfACommand: each way to ask for it gives the same.
func TestHelpOfACommand(t *testing.T) {
	texts := map[string]bool{}
	for _, args := range [][]string{{"help", "log"}, {"log", "-h"}, {"log", "--help"}, {"log", "web", "-h"}} {
		var out bytes.Buffer
		if err := run(t.Context(), args, nil, &out, io.Discard); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%q: %v", args, err)
		}
		texts[out.String()] = true
	}
	if len(texts) != 1 {
		t.Errorf("the texts differ: %q", slices.Sorted(maps.Keys(texts)))
	}
}
