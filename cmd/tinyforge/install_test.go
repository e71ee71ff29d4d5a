package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func installFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "scripts", "install", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestUnits: what the units start is taken, and the two processes meet on one socket, in a folder that the proxy's unit makes.
func TestUnits(t *testing.T) {
	sockets := map[string]string{}
	for unit, name := range map[string]string{"tinyforge.service": "serve", "tinyforge-proxy.service": "proxy"} {
		text := installFile(t, unit)
		start := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/tinyforge (.*)$`).FindStringSubmatch(text)
		if start == nil || strings.Fields(start[1])[0] != name {
			t.Fatalf("%s starts %q", unit, start)
		}
		c, _, err := readConfig(name, strings.Fields(start[1])[1:], nil, io.Discard)
		if err != nil {
			t.Errorf("%s: %v", unit, err)
		}
		sockets[c.proxySocket()] = unit
		for _, line := range []string{"User=tinyforge\n", "StateDirectory=" + filepath.Base(c.Data) + "\n", "CapabilityBoundingSet=\n"} {
			if !strings.Contains(text, "\n"+line) {
				t.Errorf("%s does not say %s", unit, line)
			}
		}
	}
	if unit := sockets["/run/tinyforge-proxy/proxy.sock"]; len(sockets) != 1 || unit == "" {
		t.Errorf("the sockets are %v", sockets)
	}
	if proxy := installFile(t, "tinyforge-proxy.service"); !strings.Contains(proxy, "\nRuntimeDirectory=tinyforge-proxy\n") {
		t.Error("the proxy's unit does not make the folder of the socket")
	}
	for _, scheme := range []string{"http", "https"} {
		if text := installFile(t, "tinyforge-"+scheme+".socket"); !strings.Contains(text, "\nFileDescriptorName="+scheme+"\n") {
			t.Errorf("the socket of %s has no name", scheme)
		}
	}
}

// TestComposeFile: what it starts is taken, the two meet on one socket in a volume, and neither runs as root.
func TestComposeFile(t *testing.T) {
	var file struct {
		Services map[string]struct {
			Command, Volumes []string
			User             string
			Environment      map[string]string
		}
	}
	if err := yaml.Unmarshal([]byte(installFile(t, "compose.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`\$\{[A-Z_]+:[-?][^}]*\}`)
	for _, name := range []string{"proxy", "serve"} {
		s := file.Services[name]
		var env []string
		for variable, value := range s.Environment {
			if value = asked.ReplaceAllString(value, ""); value != "" {
				env = append(env, variable+"="+value)
			}
		}
		if len(s.Command) == 0 || s.Command[0] != name || s.User != "" { // the image's
			t.Fatalf("%s runs %q as %q", name, s.Command, s.User)
		}
		c, _, err := readConfig(name, s.Command[1:], env, io.Discard)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.proxySocket() != "/run/tinyforge/proxy.sock" || !slices.Contains(s.Volumes, "socket:/run/tinyforge") ||
			!slices.ContainsFunc(s.Volumes, func(v string) bool { return strings.HasSuffix(v, ":"+c.Data) }) {
			t.Errorf("%s has its socket at %s, its data at %s, and the volumes %q", name, c.proxySocket(), c.Data, s.Volumes)
		}
	}
	if !strings.Contains(installFile(t, "Dockerfile"), "\nUSER 10001:10001\n") || !strings.Contains(installFile(t, "image"), "\nuser=10001\n") {
		t.Error("the image runs as somebody else than its folders belong to")
	}
}
