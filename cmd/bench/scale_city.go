package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"golang.org/x/sync/errgroup"

	"tinyforge/app/forgetest"
	"tinyforge/db"
	"tinyforge/deploy"
)

// scaleSite is what the databases of scale have in common.
type scaleSite struct {
	*hookSite
	pace time.Duration // of a call to Docker
}

func newScaleSite(ctx context.Context, s *stage) (*scaleSite, error) {
	h, err := newHookSite(ctx, s)
	if err != nil {
		return nil, err
	}
	h.forge.Fault(func(*http.Request) *forgetest.Fault { return &forgetest.Fault{Silent: true} }) // nothing is built by serve
	docker, name, err := openDocker(ctx, s)
	if err != nil {
		return nil, err
	}
	pace, err := inspectTime(ctx, docker, name)
	return &scaleSite{h, pace}, err
}

// city is a data folder and a database in which more and more workloads are live.
type city struct {
	site         *scaleSite
	kind         string // of the database
	data         string // folder
	address      string // of the database
	keys         *db.Keyring
	raw          *bun.DB         // the database without what we know of it
	installation db.Installation // of the forge
	engine       *townEngine
	size         int // workloads
	pushed       int // deliveries that were answered

	mu    sync.Mutex
	byID  map[int64]db.Workload
	lives map[int]deploy.Upstream // what serves, by the number of the workload
}

// city makes an empty one.
func (h *scaleSite) city(ctx context.Context, s *stage, kind string) (t *city, err error) {
	t = &city{site: h, kind: kind, data: filepath.Join(s.dir, "city-"+kind), byID: map[int64]db.Workload{}, lives: map[int]deploy.Upstream{}}
	if err := os.Mkdir(t.data, 0o700); err != nil {
		return nil, err
	}
	if t.keys, err = db.NewKeyring(); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(t.data, "key"), []byte(t.keys.Text()+"\n"), 0o600); err != nil {
		return nil, err
	}
	t.address = "sqlite://" + filepath.Join(t.data, "tinyforge.db")
	if kind != "SQLite" {
		if t.address, err = h.postgres.database(ctx, "scale"); err != nil {
			return nil, err
		}
	}
	if t.engine, err = listenAsEngine(ctx, filepath.Join(s.dir, kind+".sock"), h.pace); err != nil {
		return nil, err
	}
	s.add(t.engine.end)
	if err := t.with(ctx, t.found); err != nil {
		return nil, err
	}
	pool, err := openDatabase(t.address)
	if err != nil {
		return nil, err
	}
	if t.raw = bun.NewDB(pool, sqlitedialect.New()); kind != "SQLite" {
		t.raw = bun.NewDB(pool, pgdialect.New())
	}
	return t, nil
}

// with opens the database for a while.
func (t *city) with(ctx context.Context, do func(context.Context, *db.DB) error) error {
	store, err := db.Open(ctx, t.address, t.keys)
	if err != nil {
		return err
	}
	return errors.Join(do(ctx, store), store.Close())
}

// found makes the schema and the forge.
func (t *city) found(ctx context.Context, store *db.DB) (err error) {
	if _, err := store.Migrate(ctx); err != nil {
		return err
	}
	if t.engine.instance, err = store.InstanceID(ctx); err != nil {
		return err
	}
	row := t.site.forge.Row(hookForge)
	if err := store.SaveForge(ctx, &row); err != nil {
		return err
	}
	t.installation = db.Installation{ForgeID: row.ID, ExternalID: 1, Account: "acme"}
	return store.SaveInstallation(ctx, &t.installation)
}

// grow lets workloads move in until there are so many, as tinyforge does it itself: each is saved, queued, claimed and committed. What
// was before is copied from what is live then, by SQL, under ids that were kept free for it.
func (t *city) grow(ctx context.Context, size int) error {
	begun := time.Now()
	p, err := t.keepFree(ctx, size-t.size)
	if err != nil {
		return err
	}
	from := t.size
	t.size = size
	err = t.with(ctx, func(ctx context.Context, store *db.DB) error {
		var all errgroup.Group
		all.SetLimit(scaleClients)
		for n := from; n < size; n++ {
			all.Go(func() error { return t.moveIn(ctx, store, n) })
		}
		return all.Wait()
	})
	if err != nil {
		return err
	}
	t.note("moved in: %s", time.Since(begun).Round(100*time.Millisecond))
	if err := t.fillPast(ctx, p); err != nil {
		return fmt.Errorf("fill in what was before: %w", err)
	}
	t.note("filled: %s", time.Since(begun).Round(100*time.Millisecond))
	return nil
}

// scaleRepository is the n-th; its number and its name are as long as those of all others.
func scaleRepository(n int) (externalID int64, fullName string) {
	return firstRepository + int64(n), fmt.Sprintf("acme/site-%06d", n)
}

const firstRepository = 100_000_000

// moveIn makes the n-th workload, and a workload live: this one, or another that moves in too.
func (t *city) moveIn(ctx context.Context, store *db.DB, n int) error {
	r := db.Repository{ForgeID: t.installation.ForgeID, InstallationID: t.installation.ID, DefaultBranch: "main"}
	r.ExternalID, r.FullName = scaleRepository(n)
	if err := store.SaveRepository(ctx, &r); err != nil {
		return err
	}
	w := resident(r.ID, n)
	w.Routing.Aliases = hostsOf(n)[1:]
	if err := store.SaveWorkload(ctx, &w); err != nil {
		return err
	}
	t.mu.Lock()
	t.byID[w.ID] = w
	t.mu.Unlock()
	if _, err := store.QueueCommit(ctx, w.ID, "refs/heads/main", fmt.Sprintf("%040x", n+1), "Show the new prices", "A Developer"); err != nil {
		return err
	}
	for ctx.Err() == nil {
		dep, err := claim(ctx, store)
		if err != nil {
			return err
		}
		if dep != nil { // else it raced with another for one of the same workload
			return t.settle(ctx, store, dep)
		}
	}
	return ctx.Err()
}

func (t *city) settle(ctx context.Context, store *db.DB, dep *db.Deployment) error {
	t.mu.Lock()
	w := t.byID[dep.WorkloadID]
	t.mu.Unlock()
	_, err := goLive(ctx, store, w, dep)
	return err
}

// hostsOf are those of the n-th workload.
func hostsOf(n int) []string {
	list := []string{hostOf(n)}
	for i := 1; i < scaleRoutes; i++ {
		list = append(list, fmt.Sprintf("alias-%d.%s", i, hostOf(n)))
	}
	return list
}
