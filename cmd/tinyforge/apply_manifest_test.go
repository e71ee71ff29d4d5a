package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"tinyforge/deploy"
	"tinyforge/deploy/source"
)

const secretText = "hunter2-do-not-print"

// rsaPEM is one key for all tests, since making it takes time.
var rsaPEM = sync.OnceValue(func() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
})

func ecPEM(t *testing.T) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}))
}

func testSources() map[string]deploy.Source {
	return map[string]deploy.Source{"dockerfile": source.NewDockerfile(nil), "image": source.NewImage(nil)}
}

// testReader reads from maps instead of the machine.
func testReader(env, files map[string]string) *manifestReader {
	return &manifestReader{sources: testSources(), references: references{
		env: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		file: func(path string) ([]byte, error) {
			if v, ok := files[path]; ok {
				return []byte(v), nil
			}
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		},
	}}
}

// readFaults returns what is wrong with a manifest, a line for each.
func readFaults(t *testing.T, text string) string {
	t.Helper()
	env := map[string]string{
		"TOKEN": secretText, "SECRET": secretText, "EMPTY": "", "BLANK": " \n", "TWO_LINES": secretText + "\nb", "SPACED": secretText + " b",
		"NOT_UTF8": secretText + "\xff", "ZERO": secretText + "\x00", "KEY": rsaPEM(), "EC": ecPEM(t),
	}
	r := testReader(env, map[string]string{"key.pem": rsaPEM(), "token": secretText + "\n"})
	r.read([]byte(text))
	err := r.faults.err()
	if err == nil {
		return ""
	}
	if strings.Contains(err.Error(), secretText) {
		t.Errorf("the errors hold a secret:\n%v", err)
	}
	return err.Error()
}

const goodForges = `forges:
  - {name: github, kind: github, app_id: 12345, private_key: file:key.pem, webhook_secret: env:SECRET}
  - {name: git, kind: gitea, url: "https://git.example.com/", token: env:TOKEN, networks: [private, 10.1.0.0/16]}
`

const goodWorkload = goodForges + `workloads:
  - name: web
    forge: github
    repository: acme/site
    source: dockerfile
`

func TestManifest(t *testing.T) {
	r := testReader(map[string]string{"SECRET": "hook", "TOKEN": "tok", "URL": "postgres://x\n"}, map[string]string{"key.pem": rsaPEM(), "pw": "p w\n"})
	m := r.read([]byte(goodForges + `
workloads:
  - name: web
    forge: github
    repository: acme/site
    source: dockerfile
    ref: release/*
    paths: ["app/**", "!**/*.md"]
    host: www.example.com
    enabled: false
    env: &env {DATABASE_URL: env:URL, MODE: production, SQLITE: "text:file:./dev.db", PASSWORD: file:pw}
    config: &config
      deploy_strategy: blue-green
      port: 8080
      cpus: 0.5
      memory: 64MiB
      healthcheck: {path: /up, interval: 500ms, status: 0}
      env: {A: "1", B: env:TOKEN, C: "text:plain"}
      volumes: [{name: data, path: /data, read_only: true}]
  - {name: api, forge: git, repository: acme/api, source: dockerfile, env: *env, config: {<<: *config, port: 9090}}
`))
	if err := r.faults.err(); err != nil {
		t.Fatal(err)
	}
	web, api := m.workloads[0].row, m.workloads[1].row
	if web.Name != "web" || m.workloads[0].repository != "acme/site" || web.RefPattern != "release/*" || web.Host != "www.example.com" ||
		web.Enabled || !slices.Equal(web.Paths, []string{"app/**", "!**/*.md"}) || m.workloads[1].forge != "git" || !api.Enabled {
		t.Errorf("the workloads are %+v, %+v", web, api)
	}
	env := map[string]string{"DATABASE_URL": "postgres://x\n", "MODE": "production", "SQLITE": "file:./dev.db", "PASSWORD": "p w"}
	if !maps.Equal(web.Env, env) || !maps.Equal(api.Env, env) {
		t.Errorf("the env is %q, %q", web.Env, api.Env)
	}
	rest := `"cpus":0.5,"memory":"64MiB","healthcheck":{"path":"/up","interval":"500ms","status":0},` +
		`"env":{"A":"1","B":"tok","C":"text:plain"},"volumes":[{"name":"data","path":"/data","read_only":true}]`
	if want := `{"deploy_strategy":"blue-green","port":8080,` + rest + `}`; string(web.Config) != want {
		t.Errorf("the config is\n%s, want\n%s", web.Config, want)
	}
	if want := `{"port":9090,"deploy_strategy":"blue-green",` + rest + `}`; string(api.Config) != want {
		t.Errorf("the config is\n%s, want\n%s", api.Config, want)
	}
	github, git := m.forges[0].row, m.forges[1].row
	if github.URL != "https://github.com" || github.AppID != 12345 || github.Credentials.WebhookSecret != "hook" ||
		github.Credentials.PrivateKey != strings.TrimSuffix(rsaPEM(), "\n") {
		t.Errorf("the forge is %+v", github)
	}
	if git.URL != "https://git.example.com" || git.Credentials.Token != "tok" || !slices.Equal(git.Networks, []string{"private", "10.1.0.0/16"}) {
		t.Errorf("the forge is %+v", git)
	}
}

// TestForgeSchemas: a kind that serve registers can be written down, and no other.
// TestManifestOfWhatIsPlaced: where a workload runs and how often are keys of its config as the others are.
func TestManifestOfWhatIsPlaced(t *testing.T) {
	const workload = goodForges + `
workloads:
  - name: web
    forge: github
    repository: acme/site
    source: image
    config: {image: "nginx:1.27", env: {PASSWORD: env:TOKEN}, `
	r := testReader(map[string]string{"SECRET": "hook", "TOKEN": "tok"}, map[string]string{"key.pem": rsaPEM()})
	m := r.read([]byte(workload + `runtime: swarm, replicas: 3, constraints: ["node.role==worker"], secret_files: [PASSWORD]}`))
	if err := r.faults.err(); err != nil {
		t.Fatal(err)
	}
	want := `{"image":"nginx:1.27","env":{"PASSWORD":"tok"},"runtime":"swarm","replicas":3,"constraints":["node.role==worker"],"secret_files":["PASSWORD"]}`
	if got := m.workloads[0].row; string(got.Config) != want || got.Replicas() != 3 {
		t.Errorf("the config is\n%s, want\n%s", got.Config, want)
	}
	for keys, says := range map[string]string{
		`replicas: 3}`:                                 `config.replicas (line 10): needs the runtime "swarm"`,
		`runtime: swam}`:                               `unknown runtime "swam"`,
		`runtime: swarm, replicas: 1001}`:              "config.replicas (line 10): must be at most 1000",
		`runtime: swarm, constraints: [worker]}`:       "constraints[0]",
		`runtime: swarm, constraints: node.role==a}`:   "constraints",
		`runtime: docker, secret_files: [PASSWORD]}`:   `config.secret_files (line 10): needs the runtime "swarm"`,
		`runtime: swarm, secret_files: ["pass word"]}`: "secret_files[0]",
	} {
		if got := readFaults(t, workload+keys); !strings.Contains(got, says) {
			t.Errorf("%s: %s, want it to say %q", keys, got, says)
		}
	}
}

func TestForgeSchemas(t *testing.T) {
	if known, schemas := sortedKeys(forgeKinds()), sortedKeys(forgeSchemas()); !slices.Equal(known, schemas) {
		t.Errorf("kinds are %q, schemas are for %q", known, schemas)
	}
}
