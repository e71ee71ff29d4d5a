package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tinyforge/app"
	"tinyforge/app/forgetest"
	"tinyforge/db"
	"tinyforge/db/migratedtest"
)

// applyBench is a real database on SQLite, and a forge of each kind with the repositories acme/site and acme/api.
type applyBench struct {
	*testing.T
	store     *db.DB
	hub, git  *forgetest.Server
	dir       string
	publicURL string
	check     func(db.Route) error
}

func newApplyBench(t *testing.T) *applyBench {
	t.Helper()
	store := emptyStore(t)
	b := &applyBench{T: t, store: store, dir: t.TempDir(), publicURL: "https://deploy.example.com/", check: routeChecks()["builtin"]}
	b.hub, b.git = b.start(forgetest.GitHub), b.start(forgetest.Gitea)
	hub, git := b.hub.Row("hub").Credentials, b.git.Row("git").Credentials
	b.write("hub.pem", hub.PrivateKey)
	b.write("hub.secret", hub.WebhookSecret+"\n")
	b.write("git.token", git.Token+"\n")
	return b
}

func (b *applyBench) start(kind forgetest.Kind) *forgetest.Server {
	b.Helper()
	s, err := forgetest.Start(forgetest.Options{Kind: kind})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	for _, name := range []string{"acme/site", "acme/api"} {
		if _, err := s.CreateRepository(name, true); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func (b *applyBench) write(name, text string) {
	b.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
}

const (
	benchHub = `
  - name: hub
    kind: github
    url: HUB
    app_id: APP
    private_key: file:hub.pem
    webhook_secret: file:hub.secret
    networks: [loopback]
`
	benchGit = `
  - name: git
    kind: gitea
    url: GIT
    token: file:git.token
    networks: [loopback]
`
	benchForges = "forges:" + benchHub + benchGit
	benchWeb    = `
  - name: web
    forge: hub
    repository: Acme/Site
    source: dockerfile
    host: www.example.com
    paths: ["app/**"]
    env: {MODE: production}
    config: {port: 8080, healthcheck: {path: /up}}
`
	benchAPI = `
  - {name: api, forge: git, repository: acme/api, source: dockerfile, ref: "tags/v*"}
`
	benchAll = benchForges + "workloads:" + benchWeb + benchAPI
)

// apply applies a manifest as a process of its own would, and returns what it printed.
func (b *applyBench) apply(manifest string, prune bool) (string, error) {
	b.Helper()
	manifest = strings.NewReplacer(
		"HUB", b.hub.URL(), "APP", strconv.FormatInt(b.hub.Row("").AppID, 10), "GIT", b.git.URL(),
	).Replace(manifest)
	b.write("tinyforge.yml", manifest)
	var out strings.Builder
	o := applyOptions{File: filepath.Join(b.dir, "tinyforge.yml"), Prune: prune, PublicURL: b.publicURL, Check: b.check}
	err := applyFile(b.Context(), b.store, app.NewForges(b.store, forgeKinds()), testSources(), o, &out)
	said := out.String()
	if err != nil {
		said += err.Error()
	}
	for _, secret := range b.secrets() {
		if strings.Contains(said, secret) {
			b.Errorf("a secret was printed:\n%s", said)
		}
	}
	return out.String(), err
}

func (b *applyBench) secrets() []string {
	hub, git := b.hub.Row("").Credentials, b.git.Row("").Credentials
	return []string{hub.WebhookSecret, hub.PrivateKey[40:80], git.Token}
}

// applied applies a manifest that has nothing wrong, and compares what was printed.
func (b *applyBench) applied(manifest string, prune bool, want ...string) {
	b.Helper()
	out, err := b.apply(manifest, prune)
	if err != nil {
		b.Fatalf("%v\nafter\n%s", err, out)
	}
	got := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	got = slices.DeleteFunc(got, func(line string) bool {
		return strings.Contains(line, ": not deployed yet: ") || strings.HasSuffix(line, "with the next deployment") // TestApplySaysWhatIsNext
	})
	if !slices.Equal(got, want) {
		b.Fatalf("printed was\n%s\nwant\n%s", out, strings.Join(want, "\n"))
	}
}

// refused applies a manifest with something wrong, and compares the lines of the error after the first.
func (b *applyBench) refused(manifest string, prune bool, want ...string) {
	b.Helper()
	_, err := b.apply(manifest, prune)
	if err == nil {
		b.Fatal("there was no error")
	}
	_, got, _ := strings.Cut(err.Error(), "\n")
	for i, line := range want {
		want[i] = strings.NewReplacer("HUB", b.hub.URL(), "GIT", b.git.URL()).Replace(line)
	}
	if got != strings.Join(want, "\n") {
		b.Errorf("the error is\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// rows returns all that apply may write.
func (b *applyBench) rows() (forges []db.Forge, workloads []db.Workload, homes []db.Repository) {
	b.Helper()
	forges, err := b.store.Forges(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	workloads, err = b.store.Workloads(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for _, w := range workloads {
		home, err := b.store.Repository(b.Context(), w.RepositoryID)
		if err != nil {
			b.Fatal(err)
		}
		homes = append(homes, home)
	}
	return forges, workloads, homes
}

func (b *applyBench) workload(name string) db.Workload {
	b.Helper()
	_, workloads, _ := b.rows()
	i := slices.IndexFunc(workloads, func(w db.Workload) bool { return w.Name == name })
	if i < 0 {
		b.Fatalf("there is no workload %s", name)
	}
	return workloads[i]
}

// untouched demands that nothing was written at all.
func (b *applyBench) untouched() {
	b.Helper()
	if forges, workloads, _ := b.rows(); len(forges)+len(workloads) > 0 {
		b.Errorf("there are %+v, %+v", forges, workloads)
	}
}

// emptyStore is a database on SQLite in which nothing is yet.
func emptyStore(t *testing.T) *db.DB { t.Helper(); return storeAt(t, migratedtest.SQLite(t)) }

// storeAt opens a database with a key of its own, until the test is over.
func storeAt(t *testing.T, address string) *db.DB {
	t.Helper()
	keys, err := db.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	store, err := db.Open(t.Context(), address, keys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}
