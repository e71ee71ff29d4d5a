package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tinyforge/app/forgetest"
	"tinyforge/db"
	"tinyforge/deploy"
)

// manyWorkloads is how many a large Tinyforge has.
const manyWorkloads = 1000

// town is a data folder in which many workloads are live, with a forge that has their repository, and with who answers for
// Docker that their containers run: so many real ones are too much for the machine.
type town struct {
	data   string
	size   int
	engine *townEngine
}

// newTown makes one. Forge and engine end with the stage.
func newTown(ctx context.Context, s *stage, size int) (*town, error) {
	t := &town{data: filepath.Join(s.dir, "town"), size: size}
	forge, err := forgetest.Start(forgetest.Options{Kind: forgetest.GitHub, Dir: filepath.Join(s.dir, "town-forge")})
	if err != nil {
		return nil, err
	}
	s.add(func() { _ = forge.Close() })
	repository, err := forge.CreateRepository("acme/town", false)
	if err != nil {
		return nil, err
	}
	docker, name, err := openDocker(ctx, s)
	if err != nil {
		return nil, err
	}
	pace, err := inspectTime(ctx, docker, name)
	if err != nil {
		return nil, err
	}
	if t.engine, err = listenAsEngine(ctx, filepath.Join(s.dir, "town.sock"), pace); err != nil {
		return nil, err
	}
	s.add(t.engine.end)
	if err := t.settle(ctx, forge, repository.ID, repository.FullName); err != nil {
		return nil, fmt.Errorf("fill the database: %w", err)
	}
	return t, nil
}

func (t *town) name() string { return fmt.Sprintf("%d,%03d workloads", t.size/1000, t.size%1000) }

func (t *town) text() string {
	return fmt.Sprintf("All %s are live, have a host each, and follow one repository. That their containers run is answered in Docker's place, since so many real ones "+
		"are too much for the machine: one call after %.2f ms, which is what this machine's Docker took for a look at a container just before.", t.name(), milliseconds(t.engine.pace))
}

// settle fills the database as tinyforge does itself: each workload is saved, queued, claimed and committed.
func (t *town) settle(ctx context.Context, forge *forgetest.Server, externalID int64, fullName string) (err error) {
	if err := os.Mkdir(t.data, 0o700); err != nil {
		return err
	}
	keys, err := db.NewKeyring()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(t.data, "key"), []byte(keys.Text()+"\n"), 0o600); err != nil {
		return err
	}
	store, err := store(ctx, t.data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if _, err := store.Migrate(ctx); err != nil {
		return err
	}
	if t.engine.instance, err = store.InstanceID(ctx); err != nil {
		return err
	}
	row := forge.Row("town")
	if err := store.SaveForge(ctx, &row); err != nil {
		return err
	}
	repository := db.Repository{ForgeID: row.ID, ExternalID: externalID, FullName: fullName, DefaultBranch: "main"}
	if err := store.SaveRepository(ctx, &repository); err != nil {
		return err
	}
	for n := range t.size {
		if err := t.moveIn(ctx, store, repository.ID, n); err != nil {
			return err
		}
	}
	return nil
}

// claim is a claim of the bench, which keeps what it has for long.
func claim(ctx context.Context, store *db.DB) (*db.Deployment, error) {
	return store.Claim(ctx, "bench", time.Hour)
}

// moveIn makes one workload live.
func (t *town) moveIn(ctx context.Context, store *db.DB, repository int64, n int) error {
	w := resident(repository, n)
	if err := store.SaveWorkload(ctx, &w); err != nil {
		return err
	}
	commit := fmt.Sprintf("%040x", n+1)
	if _, err := store.QueueCommit(ctx, w.ID, "refs/heads/main", commit, "Show the new prices", "A Developer"); err != nil {
		return err
	}
	dep, err := claim(ctx, store)
	if err != nil || dep == nil || dep.WorkloadID != w.ID {
		return fmt.Errorf("claim the deployment of %s: %v, %w", w.Name, dep, err)
	}
	id, err := goLive(ctx, store, w, dep)
	if err != nil {
		return err
	}
	t.engine.add(string(id), w.ID, dep.ID)
	return nil
}

// resident is the n-th workload of a town.
func resident(repository int64, n int) db.Workload {
	config := `{"deploy_strategy":"blue-green","report_commit_status":false,"healthcheck":{"path":"/up","interval":"1s"}}`
	return db.Workload{Name: fmt.Sprintf("site-%06d", n), RepositoryID: repository, Source: "dockerfile", Config: json.RawMessage(config),
		Host: hostOf(n), Env: map[string]string{"DATABASE_URL": "postgres://site:secret@db/site", "PORT": samplePort}, Enabled: true}
}

// goLive commits a claimed deployment as the deployer does it, and returns the name of its release.
func goLive(ctx context.Context, store *db.DB, w db.Workload, dep *db.Deployment) (db.ReleaseID, error) {
	id := deploy.BuildGreenName(w.Name, dep.ID)
	dep.Strategy, dep.Release = db.BlueGreen, &db.Release{ID: id, WorkloadID: w.ID, Workload: w.Name, DeploymentID: dep.ID, Commit: dep.Commit,
		Image: "sha256:" + fmt.Sprintf("%064x", dep.ID), Port: 8080, Env: w.Env, Origin: w.Origin(),
		Healthcheck: residentCheck()}
	dep.Phase = db.PhaseReaping
	state := db.RuntimeState{WorkloadID: w.ID, DeploymentID: dep.ID, ReleaseID: id, Commit: dep.Commit, Release: *dep.Release}
	if err := store.Commit(ctx, dep, state); err != nil {
		return "", err
	}
	dep.Phase = db.PhaseLive
	return id, store.Save(ctx, dep)
}

func residentCheck() *db.Healthcheck {
	return &db.Healthcheck{Path: "/up", Interval: time.Second, Timeout: 5 * time.Second, Attempts: 10}
}
