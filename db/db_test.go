package db_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/uptrace/bun/dialect"

	"tinyforge/db"
	"tinyforge/db/dbtest"
)

const (
	main  = "refs/heads/main"
	zeros = "0000000000000000000000000000000000000000"
	lease = time.Hour
)

// The suite runs where local time is not UTC, so that a time which was not converted shows.
func TestMain(m *testing.M) {
	time.Local = time.FixedZone("elsewhere", 5*60*60+30*60)
	os.Exit(m.Run())
}

// fixture is a migrated database with a repository and a workload that follows it.
type fixture struct {
	*db.DB
	t        *testing.T
	address  string
	keys     *db.Keyring
	forge    db.Forge
	repo     db.Repository
	workload db.Workload
	sent     int
}

// current is a database in which every migration has run.
var current = dbtest.NewTemplate(func(address string) error {
	keys, err := db.NewKeyring()
	if err != nil {
		return err
	}
	d, err := db.Open(context.Background(), address, keys)
	if err != nil {
		return err
	}
	_, err = d.Migrate(context.Background())
	return errors.Join(err, d.Close())
})

// each runs a test on both databases, beside other tests.
func each(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	t.Parallel()
	for dialect, address := range current.Databases(t) {
		t.Run(dialect, func(t *testing.T) { test(t, newFixture(t, address)) })
	}
}

func newFixture(t *testing.T, address string) *fixture {
	t.Helper()
	f := &fixture{t: t, address: address, keys: newKeys(t)}
	f.DB = open(t, address, f.keys)
	if _, err := f.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.forge = db.Forge{Name: "hub", Kind: "github", URL: "https://github.com", AppID: 7,
		Credentials: db.Credentials{WebhookSecret: "hook secret", PrivateKey: "private key"}}
	f.check(f.SaveForge(t.Context(), &f.forge))
	f.repo = db.Repository{ForgeID: f.forge.ID, ExternalID: 42, FullName: "acme/site", DefaultBranch: "main", Private: true}
	f.check(f.SaveRepository(t.Context(), &f.repo))
	f.workload = f.newWorkload("site")
	return f
}

func newKeys(t *testing.T) *db.Keyring {
	t.Helper()
	keys, err := db.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func open(t *testing.T, address string, keys *db.Keyring) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), address, keys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func (f *fixture) postgres() bool { return f.Bun().Dialect().Name() == dialect.PG }

func (f *fixture) check(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// again opens the database once more, as another process would.
func (f *fixture) again() *db.DB {
	f.t.Helper()
	return open(f.t, f.address, f.keys)
}

func (f *fixture) exec(query string, args ...any) {
	f.t.Helper()
	_, err := f.Bun().ExecContext(f.t.Context(), query, args...)
	f.check(err)
}

func (f *fixture) count(table, where string, args ...any) int64 {
	f.t.Helper()
	n, err := f.Bun().NewSelect().TableExpr(table).Where(where, args...).Count(f.t.Context())
	f.check(err)
	return n
}

func (f *fixture) newWorkload(name string) db.Workload {
	f.t.Helper()
	w := db.Workload{Name: name, RepositoryID: f.repo.ID, Source: "dockerfile", Host: name + ".example.com", Enabled: true,
		Config: []byte(`{"port":8080}`)}
	f.check(f.SaveWorkload(f.t.Context(), &w))
	return w
}

// hash makes a full commit hash of a short name; "" means no commit.
func hash(name string) string {
	if name == "" {
		return zeros
	}
	sum := sha1.Sum([]byte(name))
	return hex.EncodeToString(sum[:])
}

// delivery is a push that was never sent before.
func (f *fixture) delivery(ref, before, after string) db.Delivery {
	f.sent++
	return db.Delivery{ForgeID: f.forge.ID, ExternalID: fmt.Sprintf("delivery-%d", f.sent), Event: "push", RepositoryID: f.repo.ID,
		Ref: ref, Before: hash(before), After: hash(after)}
}

// deploy is what the webhooks ask for: a deployment of a commit for each workload.
func deploy(ref, commit string, workloads ...db.Workload) []db.Deployment {
	var list []db.Deployment
	for _, w := range workloads {
		list = append(list, db.Deployment{WorkloadID: w.ID, Ref: ref, Commit: hash(commit), Message: "commit " + commit, Author: "Ann"})
	}
	return list
}

func (f *fixture) enqueue(del db.Delivery, deployments ...db.Deployment) db.Enqueued {
	f.t.Helper()
	out, err := f.Enqueue(f.t.Context(), &del, deployments)
	f.check(err)
	return out
}

// push moves main for the workload of the fixture. A deletion asks for no deployment.
func (f *fixture) push(before, after string) db.Enqueued {
	f.t.Helper()
	var list []db.Deployment
	if after != "" {
		list = deploy(main, after, f.workload)
	}
	return f.enqueue(f.delivery(main, before, after), list...)
}

// queued pushes a new commit and returns its deployment.
func (f *fixture) queued(before, after string) db.Deployment {
	f.t.Helper()
	out := f.push(before, after)
	if len(out.Deployments) != 1 {
		f.t.Fatalf("push of %s: %+v, want a deployment", after, out)
	}
	return f.read(out.Deployments[0])
}

func (f *fixture) read(id int64) db.Deployment {
	f.t.Helper()
	dep, err := f.Deployment(f.t.Context(), id)
	f.check(err)
	return dep
}

func (f *fixture) claim() *db.Deployment {
	f.t.Helper()
	dep, err := f.Claim(f.t.Context(), "worker", lease)
	f.check(err)
	if dep == nil {
		f.t.Fatal("nothing to claim")
	}
	return dep
}

func (f *fixture) save(dep *db.Deployment, phase db.Phase) {
	f.t.Helper()
	dep.Phase = phase
	f.check(f.Save(f.t.Context(), dep))
}

// release is what a build of dep yields.
func release(dep *db.Deployment) *db.Release {
	return &db.Release{ID: db.ReleaseID(fmt.Sprintf("tf-site-%d", dep.ID)), WorkloadID: dep.WorkloadID, Workload: "site",
		DeploymentID: dep.ID, Commit: dep.Commit, Image: "sha256:" + dep.Commit, Port: 8080,
		Env: map[string]string{"PASSWORD": "release secret"}}
}

func state(dep *db.Deployment) db.RuntimeState {
	return db.RuntimeState{WorkloadID: dep.WorkloadID, DeploymentID: dep.ID, ReleaseID: dep.Release.ID, Commit: dep.Commit,
		Release: *dep.Release}
}

// commit takes a claimed deployment over the commit point.
func (f *fixture) commit(dep *db.Deployment) {
	f.t.Helper()
	dep.Release = release(dep)
	dep.Phase = db.PhaseDraining
	f.check(f.Commit(f.t.Context(), dep, state(dep)))
}

// live pushes a commit and takes it all the way.
func (f *fixture) live(before, after string) *db.Deployment {
	f.t.Helper()
	f.queued(before, after)
	dep := f.claim()
	f.commit(dep)
	f.save(dep, db.PhaseLive)
	return dep
}

// until waits for something that another process does.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("waited 30 s until %s", what)
		case <-again.C:
		}
	}
}

func phases(list []db.Deployment) []db.Phase {
	var out []db.Phase
	for _, dep := range list {
		out = append(out, dep.Phase)
	}
	return out
}

func ids(list []db.Deployment) []int64 {
	var out []int64
	for _, dep := range list {
		out = append(out, dep.ID)
	}
	return out
}

func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
