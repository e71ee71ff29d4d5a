package db

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

// ErrHostTaken is returned by SaveWorkload, as a HostTakenError, when another workload has one of the hosts already.
var ErrHostTaken = errors.New("another workload has this host")

// Workload is what a repository deploys to.
type Workload struct {
	ID           int64  `bun:",pk,autoincrement"`
	Name         string // unique; a DNS label of at most 40 characters
	RepositoryID int64

	Source string          // "dockerfile", "image": the key under which serve.go registered it
	Config json.RawMessage `bun:"-"` // the source's config; its schema belongs to deploy/source

	RefPattern string   // "main", "release/*", "tags/v*"; "" means the repository's default branch
	Paths      []string `bun:"type:jsonb"` // globs over changed files, "!" excludes; empty means every push

	Host    string            // where people reach it: "www.example.com"; "" means it has no route
	Routing Routing           `bun:"-"` // more hosts, and how all are served
	Env     map[string]string `bun:"-"` // of the containers; wins over the config's env
	Plain   []string          `bun:"-"` // names of Env whose values may be shown again; all others are secret

	Runtime string // what releases of it run on: the config's runtime; set by what saves a workload
	Enabled bool
	FormKey string `bun:"-"` // of the form that made it, so that the form sent twice makes one; "" otherwise

	Sealed     []byte     // Config, Routing, Env, Plain and FormKey, sealed
	DeletedAt  *time.Time // set by DeleteWorkload: the releases are taken down, then the row goes
	VolumesToo bool       // with DeletedAt: its volumes are to be removed too
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// ReportsStatus tells whether commit statuses are wanted: the config's report_commit_status, true unless it says false.
func (w Workload) ReportsStatus() bool {
	var c struct {
		Report *bool `json:"report_commit_status"`
	}
	if json.Unmarshal(w.Config, &c) != nil || c.Report == nil {
		return true
	}
	return *c.Report
}

// Replicas is how often the workload's release is to run: the config's replicas, 1 unless it says more.
func (w Workload) Replicas() int {
	var c struct {
		Replicas int `json:"replicas"`
	}
	if json.Unmarshal(w.Config, &c) != nil {
		return 1
	}
	return max(1, c.Replicas)
}

// wantedRuntime is the config's runtime, RuntimeDocker where it names none.
func (w Workload) wantedRuntime() string {
	var c struct {
		Runtime string `json:"runtime"`
	}
	_ = json.Unmarshal(w.Config, &c)
	return cmp.Or(c.Runtime, RuntimeDocker)
}

// FollowsImage tells whether the workload runs an image of a registry by this tag, so that a new one concerns it: the
// config's image, unless that is pinned by digest or names another tag for each commit. image is without a tag; a tag of ""
// is one that is not known.
func (w Workload) FollowsImage(image, tag string) bool {
	var c struct {
		Image string `json:"image"`
	}
	if json.Unmarshal(w.Config, &c) != nil || c.Image == "" || strings.Contains(c.Image, "@") {
		return false
	}
	name, own := c.Image, "latest"
	if i := strings.LastIndexByte(c.Image, ':'); i > strings.LastIndexByte(c.Image, '/') {
		name, own = c.Image[:i], c.Image[i+1:]
	}
	return strings.EqualFold(name, image) && !strings.Contains(own, "{{") && (tag == "" || tag == own)
}

const sealWorkload = "workloads.config"

// sealedWorkload is what of a Workload is sealed.
type sealedWorkload struct {
	Config  json.RawMessage   `json:"config"`
	Routing Routing           `json:"routing,omitzero"`
	Env     map[string]string `json:"env,omitempty"`
	Plain   []string          `json:"plain,omitempty"`
	FormKey string            `json:"form_key,omitempty"`
}

func (w *Workload) seal(keys *Keyring) (err error) {
	w.lowerHosts()
	w.Runtime = w.wantedRuntime()
	w.Sealed, err = keys.seal(sealedWorkload{w.Config, w.Routing, w.Env, w.Plain, w.FormKey}, sealWorkload)
	return err
}

// SaveWorkload inserts the workload, or changes the one with the same name, which comes back if it was deleted. It fills
// in ID. It returns ErrHostTaken when another workload has one of its hosts.
func (d *DB) SaveWorkload(ctx context.Context, w *Workload) error {
	if err := w.seal(d.keys); err != nil {
		return err
	}
	w.DeletedAt, w.VolumesToo, w.CreatedAt, w.UpdatedAt = nil, false, now(), now()
	err := d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		err := tx.NewInsert().Model(w).
			On("CONFLICT (name) DO UPDATE").
			Set("repository_id = EXCLUDED.repository_id, source = EXCLUDED.source, ref_pattern = EXCLUDED.ref_pattern").
			Set("paths = EXCLUDED.paths, host = EXCLUDED.host, enabled = EXCLUDED.enabled, sealed = EXCLUDED.sealed").
			Set("runtime = EXCLUDED.runtime, deleted_at = NULL, volumes_too = EXCLUDED.volumes_too, updated_at = EXCLUDED.updated_at").
			Returning("id, created_at").
			Scan(ctx)
		if err != nil {
			return err
		}
		return claimHosts(ctx, tx, w)
	})
	if err == nil {
		d.notify(ctx, TopicWorkloads)
	}
	return found("save workload "+w.Name, err)
}

func (w *Workload) lowerHosts() {
	w.Host = strings.ToLower(w.Host)
	for _, list := range []*[]string{&w.Routing.Aliases, &w.Routing.Redirects} {
		*list = slices.Clone(*list)
		for i, host := range *list {
			(*list)[i] = strings.ToLower(host)
		}
	}
}

// Workload returns the workload with this id, deleted or not, or ErrNotFound.
func (d *DB) Workload(ctx context.Context, id int64) (Workload, error) {
	list, err := d.workloads(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("id = ?", id) })
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("read workload: %w", ErrNotFound)
	}
	if err != nil {
		return Workload{}, err
	}
	return list[0], nil
}

// WorkloadByName returns the workload with this name, unless it is deleted, or ErrNotFound.
func (d *DB) WorkloadByName(ctx context.Context, name string) (Workload, error) {
	list, err := d.workloads(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("name = ? AND deleted_at IS NULL", name) })
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("read workload %s: %w", name, ErrNotFound)
	}
	if err != nil {
		return Workload{}, err
	}
	return list[0], nil
}

// UsedRuntimes returns what workloads run on, those that are being deleted included.
func (d *DB) UsedRuntimes(ctx context.Context) (names []string, err error) {
	err = d.bun.NewSelect().Model((*Workload)(nil)).Distinct().Column("runtime").Order("runtime").Scan(ctx, &names)
	return names, found("read runtimes", err)
}

// EnableWorkload makes pushes deploy the workload, or not, and changes nothing else of it. It returns ErrNotFound when it is
// deleted.
func (d *DB) EnableWorkload(ctx context.Context, id int64, enabled bool) error {
	ok, err := affected(d.bun.NewUpdate().Model((*Workload)(nil)).Set("enabled = ?, updated_at = ?", enabled, now()).
		Where("id = ? AND deleted_at IS NULL", id).Exec(ctx))
	if err == nil && !ok {
		err = ErrNotFound
	}
	if err == nil {
		d.notify(ctx, TopicWorkloads)
	}
	return found("enable workload", err)
}

// Workloads returns all of them, by name, those that are being deleted included.
func (d *DB) Workloads(ctx context.Context) ([]Workload, error) {
	return d.workloads(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Order("name") })
}

// WorkloadsOf returns the workloads of a repository that are not deleted, by name.
func (d *DB) WorkloadsOf(ctx context.Context, repositoryID int64) ([]Workload, error) {
	return d.workloads(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("repository_id = ? AND deleted_at IS NULL", repositoryID).Order("name")
	})
}

func (d *DB) workloads(ctx context.Context, which func(*bun.SelectQuery) *bun.SelectQuery) ([]Workload, error) {
	var list []Workload
	if err := which(d.bun.NewSelect().Model(&list)).Scan(ctx); err != nil {
		return nil, found("read workloads", err)
	}
	for i := range list {
		if err := list[i].unseal(d.keys); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (w *Workload) unseal(keys *Keyring) error {
	var s sealedWorkload
	if err := keys.open(w.Sealed, &s, sealWorkload); err != nil {
		return fmt.Errorf("workload %s: %w", w.Name, err)
	}
	w.Config, w.Routing, w.Env, w.Plain, w.FormKey = s.Config, s.Routing, s.Env, s.Plain, s.FormKey
	return nil
}

// DeleteWorkload marks the workload as deleted, gives its hosts back and ends its queued deployment. Its releases are
// taken down by the recovery, with their volumes only if volumesToo, which then calls PurgeWorkload.
func (d *DB) DeleteWorkload(ctx context.Context, id int64, volumesToo bool) error {
	err := d.tx(ctx, func(ctx context.Context, tx bun.Tx) error {
		t := now()
		_, err := tx.NewUpdate().Model((*Workload)(nil)).Set("deleted_at = ?, updated_at = ?, volumes_too = ?", t, t, volumesToo).
			Where("id = ?", id).Exec(ctx)
		if err != nil {
			return err
		}
		if err := leaveHosts(ctx, tx, id); err != nil {
			return err
		}
		_, err = tx.NewUpdate().Model((*Deployment)(nil)).
			Set("phase = ?, status = ?, error = ?", PhaseFailed, StatusFailure, "The workload was deleted.").
			Set("finished_at = ?, updated_at = ?", t, t).
			Where("workload_id = ? AND phase = ?", id, PhaseQueued).Exec(ctx)
		return err
	})
	if err == nil {
		d.notify(ctx, TopicWorkloads, TopicPhase)
	}
	return found("delete workload", err)
}

// PurgeWorkload removes a deleted workload with all its rows, unless it came back or a deployment is in progress or not
// yet reported. It reports whether the row is gone.
func (d *DB) PurgeWorkload(ctx context.Context, id int64) (bool, error) {
	busy := d.bun.NewSelect().Model((*Deployment)(nil)).ColumnExpr("1").
		Where("workload_id = ? AND (phase IN (?) OR "+owed+")", id, bun.List(unfinished))
	ok, err := affected(d.bun.NewDelete().Model((*Workload)(nil)).
		Where("id = ? AND deleted_at IS NOT NULL AND NOT EXISTS (?)", id, busy).Exec(ctx))
	return ok, found("purge workload", err)
}
