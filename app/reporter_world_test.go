package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tinyforge/app"
	"tinyforge/app/forgetest"
	"tinyforge/app/gitea"
	"tinyforge/app/github"
	"tinyforge/app/gitlab"
	"tinyforge/db"
	"tinyforge/db/migratedtest"
)

var kinds = []forgetest.Kind{forgetest.GitHub, forgetest.Gitea, forgetest.GitLab}

// patience bounds every wait. Nothing waits that long unless it fails.
const patience = 30 * time.Second

// desk is a reporter on a real database, which speaks to real forges through the real clients.
type desk struct {
	t       *testing.T
	db      *db.DB
	dir     string // of the database, where it is a file
	forges  *app.Forges
	log     *lockedBuffer
	told    chan told // of each status that was set, or not, after the forge's answer
	records int       // deliveries made up so far
}

// told is a call of SetStatus and what came of it.
type told struct {
	app.Status
	repository string
	err        error
}

// telling is a real forge that says what it was asked to set, and when that is done.
type telling struct {
	app.Forge
	told chan<- told
}

func (f telling) SetStatus(ctx context.Context, repo db.Repository, s app.Status) error {
	err := f.Forge.SetStatus(ctx, repo, s)
	f.told <- told{s, repo.FullName, err}
	return err
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	return newDeskOn(t, migratedtest.SQLite(t))
}

func newDeskOn(t *testing.T, address string) *desk {
	t.Helper()
	keys, err := db.NewKeyring()
	must(t, err)
	store, err := db.Open(t.Context(), address, keys)
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	return &desk{
		t: t, db: store, log: new(lockedBuffer), told: make(chan told, 1000),
		dir:    filepath.Dir(strings.TrimPrefix(address, "sqlite://")),
		forges: app.NewForges(store, map[string]app.Opener{"github": github.New, "gitea": gitea.New, "gitlab": gitlab.New}),
	}
}

// onEveryForge runs f with a place on each kind of forge, one after the other at one desk, on each database.
func onEveryForge(t *testing.T, f func(t *testing.T, d *desk, kind forgetest.Kind, p *place)) {
	t.Helper()
	for dialect, address := range migratedtest.Databases(t) {
		t.Run(dialect, func(t *testing.T) {
			d := newDeskOn(t, address)
			for _, kind := range kinds {
				f(t, d, kind, d.place(kind, string(kind)))
			}
		})
	}
}

func (d *desk) open(ctx context.Context, forgeID int64) (app.Forge, error) {
	forge, err := d.forges.Open(ctx, forgeID)
	if err != nil {
		return nil, err
	}
	return telling{forge, d.told}, nil
}

// report runs a reporter until stop, which returns when nothing of it is in progress any more.
func (d *desk) report() (stop func()) {
	ctx, cancel := context.WithCancel(d.t.Context())
	log := slog.New(slog.NewJSONHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ended := make(chan error, 1)
	public := func(context.Context) (string, error) { return "https://deploy.example.com", nil }
	go func() { ended <- app.NewReporter(d.db, d.open, public, log).Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			d.t.Errorf("reporter: %v", err)
		}
	})
	d.t.Cleanup(stop)
	return stop
}

// next returns the next status that was set or refused.
func (d *desk) next() told {
	d.t.Helper()
	select {
	case s := <-d.told:
		return s
	case <-time.After(patience):
		d.t.Fatalf("no status is set; log:\n%s", d.log)
		return told{}
	}
}

// until reports until n statuses were set or refused, and everything is written down.
func (d *desk) until(n int) (all []told) {
	d.t.Helper()
	stop := d.report()
	for range n {
		all = append(all, d.next())
	}
	stop()
	select {
	case s := <-d.told:
		d.t.Errorf("one status more than %d: %+v", n, s)
	default:
	}
	return all
}

// place is a repository with one commit on a forge of its own, and a workload.
type place struct {
	d        *desk
	forge    *forgetest.Server
	row      db.Forge
	repo     db.Repository
	workload db.Workload
	work     *forgetest.Worktree
	first    string // commit
}

func (d *desk) place(kind forgetest.Kind, name string) *place {
	d.t.Helper()
	ctx := d.t.Context()
	server, err := forgetest.Start(forgetest.Options{Kind: kind})
	must(d.t, err)
	d.t.Cleanup(func() { _ = server.Close() })
	made, err := server.CreateRepository("acme/"+name, true)
	must(d.t, err)
	p := &place{d: d, forge: server, row: server.Row(name)}
	p.row.ID = 0
	must(d.t, d.db.SaveForge(ctx, &p.row))
	p.repo = db.Repository{ForgeID: p.row.ID, ExternalID: made.ID, FullName: made.FullName, DefaultBranch: "main", Private: true}
	if made.Installation != 0 {
		i := db.Installation{ForgeID: p.row.ID, ExternalID: made.Installation, Account: "acme"}
		must(d.t, d.db.SaveInstallation(ctx, &i))
		p.repo.InstallationID = i.ID
	}
	must(d.t, d.db.SaveRepository(ctx, &p.repo))
	p.workload = p.addWorkload(name, `{}`)
	p.work, err = server.Clone(ctx, made.FullName, filepath.Join(d.t.TempDir(), "work"))
	must(d.t, err)
	p.first = p.commit()
	return p
}

func (p *place) addWorkload(name, config string) db.Workload {
	p.d.t.Helper()
	w := db.Workload{Name: name, RepositoryID: p.repo.ID, Source: "dockerfile", Config: json.RawMessage(config), Enabled: true}
	must(p.d.t, p.d.db.SaveWorkload(p.d.t.Context(), &w))
	return w
}

// commit makes a commit that the forge has.
func (p *place) commit() string {
	p.d.t.Helper()
	sha, err := p.work.Commit(p.d.t.Context(), "change")
	must(p.d.t, err)
	must(p.d.t, p.work.Push(p.d.t.Context(), "main"))
	return sha
}

// queue queues a deployment of a commit for each workload, as somebody who asks for it by hand would. It returns their ids.
func (p *place) queue(commit string, workloads ...db.Workload) []int64 {
	p.d.t.Helper()
	p.d.records++
	del := db.Delivery{ForgeID: p.row.ID, ExternalID: fmt.Sprint("made up ", p.d.records), Event: "push", RepositoryID: p.repo.ID}
	var list []db.Deployment
	for _, w := range workloads {
		list = append(list, db.Deployment{WorkloadID: w.ID, Ref: "refs/heads/main", Commit: commit, Message: "change"})
	}
	out, err := p.d.db.Enqueue(p.d.t.Context(), &del, list)
	must(p.d.t, err)
	return out.Deployments
}

// start claims the deployment that is next.
func (d *desk) start() *db.Deployment {
	d.t.Helper()
	dep, err := d.db.Claim(d.t.Context(), "test", time.Hour)
	must(d.t, err)
	if dep == nil {
		d.t.Fatal("nothing can be claimed")
	}
	return dep
}

// live takes a deployment to its end by way of the commit point.
func (d *desk) live(dep *db.Deployment) {
	d.t.Helper()
	dep.Phase = db.PhaseReaping
	must(d.t, d.db.Commit(d.t.Context(), dep, db.RuntimeState{WorkloadID: dep.WorkloadID, DeploymentID: dep.ID, Commit: dep.Commit}))
	dep.Phase = db.PhaseLive
	must(d.t, d.db.Save(d.t.Context(), dep))
}

func (d *desk) fail(dep *db.Deployment, why string) {
	d.t.Helper()
	dep.Phase, dep.Error = db.PhaseFailed, why
	must(d.t, d.db.Save(d.t.Context(), dep))
}

func (d *desk) deployment(id int64) db.Deployment {
	d.t.Helper()
	dep, err := d.db.Deployment(d.t.Context(), id)
	must(d.t, err)
	return dep
}

// due makes the next attempt of a commit due at once.
func (p *place) due(commit string) {
	p.d.t.Helper()
	must(p.d.t, p.d.db.DelayReport(p.d.t.Context(), db.CommitKey{RepositoryID: p.repo.ID, Commit: commit}, time.Now().Add(-time.Second)))
}

// states are what the forge holds of a commit, oldest first: "pending success".
func (p *place) states(commit string) string {
	var states []string
	for _, s := range p.forge.Statuses(p.repo.FullName, commit) {
		states = append(states, s.State)
	}
	return strings.Join(states, " ")
}

func (p *place) wantStates(commit, want string) {
	p.d.t.Helper()
	if got := p.states(commit); got != want {
		p.d.t.Errorf("%s on %s: statuses %q, want %q", p.repo.FullName, p.row.Kind, got, want)
	}
}

// last is the newest status of a commit.
func (p *place) last(commit string) forgetest.Status {
	p.d.t.Helper()
	all := p.forge.Statuses(p.repo.FullName, commit)
	if len(all) == 0 {
		p.d.t.Fatalf("%s has no status; log:\n%s", commit, p.d.log)
	}
	return all[len(all)-1]
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lockedBuffer is a log that tests read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
