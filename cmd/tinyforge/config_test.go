package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestConfigDefaults(t *testing.T) {
	c, rest, err := readConfig("serve", []string{"--data", "/data"}, nil, io.Discard)
	want := config{
		Data: "/data", Database: "sqlite:///data/tinyforge.db", Listen: "127.0.0.1:4040", TrustedProxies: "127.0.0.0/8,::1", ProxyHTTP: ":80", ProxyHTTPS: ":443",
		Router: "builtin", NPMForward: "name", NPMGrace: 5 * time.Second,
		Network: "tinyforge", RegistryListen: "127.0.0.1:5000", RegistryKeep: 6 * time.Hour, Workers: 2, Liveness: 5 * time.Second, Drain: 30 * time.Second, Build: time.Hour, KeepReleases: 3, MaxReplicas: 100, MinFree: 1 << 30, LogFormat: "auto", LogLevel: slog.LevelInfo,
		Options: map[string]string{"data": "/data"},
	}
	if err != nil || !reflect.DeepEqual(c, want) || len(rest) > 0 {
		t.Errorf("read %+v, rest %q, error %v", c, rest, err)
	}
	if c, _, err := readConfig("serve", nil, nil, io.Discard); err != nil || !filepath.IsAbs(c.Data) {
		t.Errorf("the data folder is %q, error %v", c.Data, err)
	}
}

// TestConfigSources: a flag wins over the environment, which wins over the default. Other programs' variables are left
// alone, and flags may stand behind the other arguments.
func TestConfigSources(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("postgres://tinyforge:secret@db/tinyforge\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{
		"TINYFORGE_DATA=/env", "TINYFORGE_WORKERS=7", "TINYFORGE_DRAIN=1m", "TINYFORGE_LOG_LEVEL=warn", "TINYFORGE_INTERNAL_CA=true",
		"TINYFORGE_PROXY_HTTP=off", "TINYFORGE_PUBLIC_URL=https://deploy.example.com/", "TINYFORGE_DATABASE_FILE=" + secret,
		"TINYFORGE_KEY=key", "TINYFORGE_TEST_MAIN=1", "TINYFORGED=1", "PATH=/bin", "DOCKER_HOST=unix:///elsewhere",
	}
	c, rest, err := readConfig("apply", []string{"--workers=3", "tinyforge.yml", "--prune", "--data", "/flag"}, env, io.Discard)
	want := config{
		Data: "/flag", Database: "postgres://tinyforge:secret@db/tinyforge", Key: "key", Listen: "127.0.0.1:4040", ProxyHTTPS: ":443",
		PublicURL: "https://deploy.example.com", TrustedProxies: "127.0.0.0/8,::1", InternalCA: true, Router: "builtin", NPMForward: "name", NPMGrace: 5 * time.Second, Network: "tinyforge", RegistryListen: "127.0.0.1:5000", RegistryKeep: 6 * time.Hour, Workers: 3, Liveness: 5 * time.Second,
		Drain: time.Minute, Build: time.Hour, KeepReleases: 3, MaxReplicas: 100, MinFree: 1 << 30, LogFormat: "auto", LogLevel: slog.LevelWarn, Prune: true,
		Given: given{PublicURL: true},
		Options: map[string]string{
			"data": "/flag", "workers": "3", "drain": "1m0s", "log-level": "WARN", "internal-ca": "true", "proxy-http": "off", "prune": "true",
			"public-url": "https://deploy.example.com/",
		},
	}
	if err != nil || !reflect.DeepEqual(c, want) || !slices.Equal(rest, []string{"tinyforge.yml"}) {
		t.Errorf("read %+v, rest %q, error %v", c, rest, err)
	}
}

// TestConfigFaults: everything that is wrong is said at once.
func TestConfigFaults(t *testing.T) {
	for name, test := range map[string]struct {
		args, env []string
		want      []string
	}{
		"values": {
			[]string{
				"--public-url", "deploy.example.com", "--log-format", "xml", "--listen", "4040", "--proxy-http", "all", "--trusted-proxies", "127.0.0.1,npm",
				"--workers", "0", "--liveness", "0s", "--max-replicas", "100000", "--drain", "-1s", "--build-timeout", "0",
			},
			[]string{"TINYFORGE_DATABASE=mysql://root:secret@db"},
			[]string{
				`--public-url "deploy.example.com": give a whole URL, such as https://deploy.example.com`,
				`TINYFORGE_DATABASE: begin with sqlite:// or postgres://`,
				`--trusted-proxies "127.0.0.1,npm": give addresses and networks, separated by commas, such as 127.0.0.1,172.18.0.0/16`,
				`--log-format "xml": use auto, text or json`,
				`--listen "4040": give an address such as :80 or 127.0.0.1:8080`,
				`--proxy-http "all": give an address such as :80 or 127.0.0.1:8080`,
				`--workers 0: at least one is needed`,
				`--max-replicas 100000: give a number from 1 to 1000`,
				`--liveness 0s: give a time above zero, such as 5s`,
				`--drain -1s: give a time above zero, such as 30s`,
				`--build-timeout 0s: give a time above zero, such as 1h`,
			},
		},
		"contradictions": {
			[]string{"--proxy-http", "off", "--proxy-https", "off", "--internal-ca", "--acme-email", "dana@example.com"}, nil,
			[]string{
				"--proxy-http and --proxy-https are both off: nothing would serve the sites",
				"--acme-email, --acme-ca and --internal-ca are about HTTPS, but --proxy-https is off",
				"--internal-ca signs certificates locally, --acme-email and --acme-ca ask an authority: choose one",
			},
		},
		"no runtime": {[]string{"--runtimes", "docker,kubernetes"}, nil, []string{`--runtimes "kubernetes": use docker or swarm`}},
		"no router": {
			[]string{"--router", "traefik"}, nil, []string{`--router "traefik": use builtin, npm or proxy`},
		},
		"npm and nothing else": {
			[]string{"--router", "npm", "--npm-forward", "container", "--npm-grace", "0s", "--npm-adopt", "https://a.example.com,b.example.com"}, nil,
			[]string{
				"--npm-url: give the URL of Nginx Proxy Manager's administration, scheme and host only, such as http://127.0.0.1:81",
				`--npm-proxy "": give the address of the HTTP that Nginx Proxy Manager serves, such as 127.0.0.1:80`,
				"--npm-identity is missing: make a user in Nginx Proxy Manager and give its e-mail address",
				"TINYFORGE_NPM_PASSWORD is missing: set it, or TINYFORGE_NPM_PASSWORD_FILE, to the password of --npm-identity",
				`--npm-forward "container": use name or address`,
				"--npm-grace 0s: give a time above zero, such as 5s",
				`--npm-adopt "https://a.example.com": give hosts, such as www.example.com`,
			},
		},
		"npm and the built-in proxy": {
			[]string{
				"--router", "npm", "--npm-url", "http://127.0.0.1:81", "--npm-proxy", "127.0.0.1:80", "--npm-identity", "bot@example.com",
				"--proxy-http", ":8080", "--internal-ca",
			},
			[]string{"TINYFORGE_NPM_PASSWORD=secret"},
			[]string{
				"--acme-email, --acme-ca and --internal-ca are about the built-in proxy; with --router npm, certificates are Nginx Proxy Manager's",
				"--proxy-http and --proxy-https are about the built-in proxy, which does not run with --router npm",
			},
		},
		"the built-in proxy and npm": {
			[]string{"--npm-url", "http://127.0.0.1:81"}, nil,
			[]string{"the options that begin with --npm, and TINYFORGE_NPM_PASSWORD, are about Nginx Proxy Manager: choose it with --router npm"},
		},
		"a proxy apart": {
			[]string{"--router", "proxy", "--proxy-http", ":8080", "--internal-ca", "--npm-adopt", "a.example.com"}, nil,
			[]string{
				"--acme-email, --acme-ca and --internal-ca are about certificates: with --router proxy, give them to tinyforge proxy, which gets them",
				"--proxy-http and --proxy-https are where sites are served: with --router proxy, give them to tinyforge proxy, which does it",
				"the options that begin with --npm, and TINYFORGE_NPM_PASSWORD, are about Nginx Proxy Manager: choose it with --router npm",
			},
		},
		"a socket without a proxy apart": {
			[]string{"--proxy-socket", "/run/proxy.sock"}, nil, []string{"--proxy-socket is about tinyforge proxy: choose it with --router proxy"},
		},
		"one address for both": {
			[]string{"--proxy-http", ":443"}, nil, []string{"--proxy-http and --proxy-https need two different addresses"},
		},
		"one address for two": {
			[]string{"--listen", ":443"}, nil,
			[]string{"--listen, --proxy-http and --proxy-https need three different addresses"},
		},
		"no address": {
			[]string{"--listen", ""}, nil, []string{`--listen "": give an address such as :80 or 127.0.0.1:8080`},
		},
		"a path": {
			[]string{"--public-url", "https://example.com/deploy"}, nil,
			[]string{`--public-url "https://example.com/deploy": give scheme and host only; Tinyforge needs a host of its own`},
		},
		"variables": {
			[]string{"--drain=0s"}, []string{
				"TINYFORGE_PUBLIK_URL=x", "TINYFORGE_WORKERS=many", "TINYFORGE_LOG_LEVEL=loud", "TINYFORGE_DRAIN_FILE=/x",
				"TINYFORGE_KEY=secret", "TINYFORGE_KEY_FILE=/secret", "TINYFORGE_DATABASE_FILE=/does/not/exist",
			},
			[]string{
				"TINYFORGE_PUBLIK_URL: there is no such option; -h lists them",
				`TINYFORGE_WORKERS="many" cannot be read; it takes: number of deployments at a time`,
				`TINYFORGE_LOG_LEVEL="loud" cannot be read; it takes: debug, info, warn or error`,
				"TINYFORGE_DRAIN_FILE: there is no such option; -h lists them",
				"TINYFORGE_KEY and TINYFORGE_KEY_FILE are both set: keep one of them",
				"TINYFORGE_DATABASE_FILE: open /does/not/exist: no such file or directory",
				"--drain 0s: give a time above zero, such as 30s", // found in the same go
			},
		},
		"a flag that is none": {[]string{"--publik-url=x"}, nil, []string{"flag provided but not defined: -publik-url; -h lists the options"}},
		"an argument":         {[]string{"now"}, nil, []string{`unexpected argument "now": options begin with --`}},
		"a secret as a flag":  {[]string{"--key=secret"}, nil, []string{"flag provided but not defined: -key; -h lists the options"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := readConfig("serve", test.args, test.env, io.Discard)
			if err == nil {
				t.Fatal("there was no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q:\n%v", want, err)
				}
			}
			if lines := strings.Count(err.Error(), "\n") + 1; lines != len(test.want) {
				t.Errorf("the error has %d lines, want %d:\n%v", lines, len(test.want), err)
			}
			if strings.Contains(err.Error(), "secret@") || strings.Contains(err.Error(), "=secret") {
				t.Errorf("the error holds a secret: %v", err)
			}
		})
	}
}

// TestConfigOfOtherCommands: a command complains of what it uses, and of no option that serve alone needs.
func TestConfigOfOtherCommands(t *testing.T) {
	env := []string{"TINYFORGE_ROUTER=npm", "TINYFORGE_WORKERS=0", "TINYFORGE_LOG_FORMAT=xml"}
	for _, name := range []string{"apply", "migrate", "log"} {
		if _, _, err := readConfig(name, nil, env, io.Discard); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := readConfig("apply", []string{"--router", "traefik"}, nil, io.Discard); err == nil || err.Error() != `--router "traefik": use builtin, npm or proxy` {
		t.Errorf("apply with a router that is none: %v", err)
	}
}

// TestConfigOfTheProxy: it complains of its own options, and of none that serve alone has, since both may share an environment.
func TestConfigOfTheProxy(t *testing.T) {
	c, _, err := readConfig("proxy", []string{"--data", "/srv/tf"}, []string{"TINYFORGE_ROUTER=proxy", "TINYFORGE_WORKERS=0", "TINYFORGE_LISTEN=:80"}, io.Discard)
	if err != nil || c.proxySocket() != "/srv/tf/proxy.sock" {
		t.Errorf("the socket is %s, %v", c.proxySocket(), err)
	}
	_, _, err = readConfig("proxy", []string{"--proxy-http", "off", "--proxy-https", "off", "--drain", "0s", "--log-format", "xml", "--trusted-proxies", "npm"}, nil, io.Discard)
	if err == nil || strings.Count(err.Error(), "\n") != 3 || !strings.Contains(err.Error(), "nothing would serve the sites") {
		t.Errorf("got %v", err)
	}
}

func TestCommands(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		out  string
		err  string
	}{
		"version":         {[]string{"version"}, "tinyforge ", ""},
		"--version":       {[]string{"--version"}, "tinyforge ", ""},
		"none":            {nil, "Usage:", ""},
		"help":            {[]string{"help"}, "tinyforge apply FILE", ""},
		"help of none":    {[]string{"help", "deploy"}, "", `unknown command "deploy": tinyforge help lists them`},
		"version x":       {[]string{"version", "-x"}, "", "version has no option -x: tinyforge version"},
		"unknown":         {[]string{"deploy"}, "", `unknown command "deploy": tinyforge help lists them`},
		"apply nothing":   {[]string{"apply"}, "", "apply takes one file, or - for standard input"},
		"apply two files": {[]string{"apply", "a", "b"}, "", "apply takes one file, or - for standard input"},
		"apply no file":   {[]string{"apply", "/does/not/exist"}, "", "no such file"},
		"migrate a file":  {[]string{"migrate", "a"}, "", `unexpected argument "a"`},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := run(t.Context(), test.args, []string{"TINYFORGE_DATA=" + t.TempDir()}, &out, io.Discard)
			if (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("error %v, want %q", err, test.err)
			}
			if !strings.Contains(out.String(), test.out) || test.out == "" && out.Len() > 0 {
				t.Errorf("printed was %q, want %q", out.String(), test.out)
			}
		})
	}
}

func TestMigrate(t *testing.T) {
	env := []string{"TINYFORGE_DATA=" + filepath.Join(t.TempDir(), "data")}
	migrated := func() string {
		t.Helper()
		var out bytes.Buffer
		if err := run(t.Context(), []string{"migrate"}, env, &out, io.Discard); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if out := migrated(); !strings.HasPrefix(out, "applied ") {
		t.Errorf("the first time it says %q", out)
	}
	if out := migrated(); out != "the database is up to date\n" {
		t.Errorf("the second time it says %q", out)
	}
	other := append(env, "TINYFORGE_KEY=nonsense")
	if err := run(context.Background(), []string{"migrate"}, other, io.Discard, io.Discard); err == nil || strings.Contains(err.Error(), "nonsense") {
		t.Errorf("with a key that is none: %v", err)
	}
}

// TestProcess: errors go to standard error with status 1, help is no error.
func TestProcess(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"unknown": {[]string{"deploy"}, 1, `tinyforge: unknown command "deploy"`},
		"help":    {[]string{"serve", "-h"}, 0, "Usage: tinyforge serve [options]"},
		"faults":  {[]string{"serve", "--workers=0"}, 1, "tinyforge: --workers 0: at least one is needed"},
	} {
		t.Run(name, func(t *testing.T) {
			p := startProcess(t, nil, test.args...)
			_ = p.wait(30 * time.Second)
			if code := p.cmd.ProcessState.ExitCode(); code != test.code || !strings.Contains(p.log.String(), test.says) {
				t.Errorf("it ended with %d and\n%s", code, p.log.String())
			}
		})
	}
}
