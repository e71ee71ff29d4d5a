package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
	"tinyforge/db/migratedtest"
	"tinyforge/deploy/docker"
)

func TestHealth(t *testing.T) {
	engine, err := docker.New(docker.Config{Instance: "test", Network: "tinyforge-test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = engine.Close() }()
	h := &health{config: config{Data: t.TempDir(), Router: "builtin"}, engine: engine, started: time.Now()}
	if bytes, err := h.Memory(); err != nil || bytes < 1<<20 {
		t.Errorf("memory: %d, %v", bytes, err)
	}
	if version, err := h.Docker(t.Context()); err != nil || version == "" {
		t.Errorf("docker: %q, %v", version, err)
	}
	if free, err := h.Free(t.Context()); err != nil || free <= 0 {
		t.Errorf("free: %d, %v", free, err)
	}
}

// TestProcessesOfADatabase: the facts name all that live, and what this one deploys to.
func TestProcessesOfADatabase(t *testing.T) {
	store := storeAt(t, migratedtest.Postgres(t))
	if err := store.JoinProcess(t.Context(), db.Process{ID: "other", Host: "other.test", Runtimes: []string{"swarm"}}); err != nil {
		t.Fatal(err)
	}
	h := &health{config: config{Database: "postgres://u:secret@h/n"}, db: store, runtimes: []string{"docker", "swarm"}}
	want := "[{runtimes docker, swarm} {registry about.none} {process other.test: swarm}]"
	var got []string
	for _, f := range h.processes(t.Context()) {
		got = append(got, "{"+f.Key+" "+f.Value+f.Text+"}")
	}
	if fmt.Sprint(got) != want {
		t.Errorf("they are %s, want %s", got, want)
	}
}

// TestDatabaseSize: what is written last counts too, and no file of another database does.
func TestDatabaseSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	for name, size := range map[string]int{path: 100, path + "-wal": 20} {
		if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for database, want := range map[string]int64{"sqlite://" + path: 120, "sqlite://" + path + "x": 0, "postgres://host" + path: 0} {
		if got := databaseSize(config{Database: database}); got != want {
			t.Errorf("%s: %d, want %d", database, got, want)
		}
	}
}

// sitesAt is a proxy that says where it is.
type sitesAt struct {
	noSites
	http, https, folder string
}

func (s sitesAt) Serves() (http, https string) { return s.http, s.https }
func (s sitesAt) Folder() string               { return s.folder }

// TestProxyCommands: they have this server's own options, whatever serves its sites, and each is one that is taken.
func TestProxyCommands(t *testing.T) {
	for name, test := range map[string]struct {
		args, env []string
		serves    sitesAt
		want      map[string]string
	}{
		"one process": {[]string{"--proxy-http", ":8080", "--acme-email", "ann@example.com", "--drain", "1m"}, []string{"TINYFORGE_DATA=/srv/my tf", "TINYFORGE_LISTEN=:4041"},
			sitesAt{http: ":8080", https: ":443"}, map[string]string{
				"built_in": "tinyforge serve --router builtin --data '/srv/my tf' --drain 1m0s --listen :4041 --proxy-http :8080 --proxy-https :443 --acme-email ann@example.com",
				"apart": "tinyforge proxy --data '/srv/my tf' --drain 1m0s --proxy-http :8080 --proxy-https :443 --acme-email ann@example.com\n" +
					"tinyforge serve --router proxy --data '/srv/my tf' --drain 1m0s --listen :4041",
			}},
		"apart": {[]string{"--router", "proxy", "--data", "/srv/tf", "--proxy-socket", "/run/tf/proxy.sock"}, nil, sitesAt{http: "127.0.0.1:8080", folder: "/srv/proxy"}, map[string]string{
			"built_in": "tinyforge serve --router builtin --data /srv/tf --proxy-http 127.0.0.1:8080 --proxy-https off",
			"apart": "tinyforge proxy --data /srv/proxy --proxy-http 127.0.0.1:8080 --proxy-https off --proxy-socket /run/tf/proxy.sock\n" +
				"tinyforge serve --router proxy --data /srv/tf --proxy-socket /run/tf/proxy.sock",
		}},
		"apart and away": {[]string{"--router", "proxy", "--data", "/srv/tf"}, []string{"TINYFORGE_PROXY_HTTP=off", "TINYFORGE_PROXY_HTTPS=off"}, sitesAt{}, map[string]string{
			"apart": "tinyforge proxy --data /srv/tf --proxy-http :80 --proxy-https :443 --acme-email you@example.com\n" +
				"tinyforge serve --router proxy --data /srv/tf",
		}},
		"never seen": {[]string{"--router", "proxy", "--data", "/srv/tf", "--proxy-socket", "/run/p"}, nil, sitesAt{}, map[string]string{
			"apart": "tinyforge proxy --data FOLDER-OF-THE-PROXY --proxy-http :80 --proxy-https :443 --acme-email you@example.com --proxy-socket /run/p\n" +
				"tinyforge serve --router proxy --data /srv/tf --proxy-socket /run/p",
		}},
		"npm": {[]string{"--router", "npm", "--npm-url", "http://npm:81", "--npm-proxy", "npm:80", "--npm-identity", "bot@example.com", "--npm-grace", "9s"},
			[]string{"TINYFORGE_NPM_PASSWORD=secret"}, sitesAt{}, map[string]string{
				"npm": "tinyforge serve --router npm --npm-url http://npm:81 --npm-proxy npm:80 --npm-identity bot@example.com --npm-grace 9s",
			}},
	} {
		c, _, err := readConfig("serve", test.args, test.env, io.Discard)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, p := range c.proxyCommands(test.serves) {
			if want, ok := test.want[p.Kind]; ok && p.Text != want {
				t.Errorf("%s: %s is\n%s\nwant\n%s", name, p.Kind, p.Text, want)
			}
			for line := range strings.SplitSeq(strings.ReplaceAll(p.Text, "'/srv/my tf'", "/srv/tf"), "\n") {
				words := strings.Fields(line)
				if _, _, err := readConfig(words[1], words[2:], []string{"TINYFORGE_NPM_PASSWORD=secret"}[:strings.Count(line, "--router npm")], io.Discard); err != nil {
					t.Errorf("%s: %s: %v", name, line, err)
				}
			}
		}
	}
}
