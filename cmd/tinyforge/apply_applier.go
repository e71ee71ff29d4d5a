package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"strings"

	"tinyforge/app"
	"tinyforge/db"
)

// applier makes the database equal to a manifest. It is used once: load, plan, run.
type applier struct {
	store     *db.DB
	opener    *app.Forges
	prune     bool
	publicURL string // without a trailing slash
	check     func(db.Route) error
	out       io.Writer

	savedForges    map[string]db.Forge     // the database as it was, by name
	savedWorkloads map[string]db.Workload  // those that are being taken down included
	savedHomes     map[int64]db.Repository // the repositories of savedWorkloads, by id

	manifest     manifest
	forges       []*plannedForge
	repositories []*plannedRepository
	workloads    []*plannedWorkload
	faults       manifestFaults
}

// load reads what the database holds.
func (a *applier) load(ctx context.Context) error {
	a.savedForges, a.savedWorkloads, a.savedHomes = map[string]db.Forge{}, map[string]db.Workload{}, map[int64]db.Repository{}
	forges, err := a.store.Forges(ctx)
	if err != nil {
		return err
	}
	for _, f := range forges {
		a.savedForges[f.Name] = f
	}
	workloads, err := a.store.Workloads(ctx)
	if err != nil {
		return err
	}
	for _, w := range workloads {
		a.savedWorkloads[w.Name] = w
		if a.savedHomes[w.RepositoryID], err = a.store.Repository(ctx, w.RepositoryID); err != nil {
			return err
		}
	}
	return nil
}

// plan checks the manifest against the database and the forges' own demands; what is wrong is added to faults. It writes
// nothing and calls nobody.
func (a *applier) plan(m manifest) {
	a.manifest = m
	for _, f := range m.forges {
		if f.valid {
			a.planForge(f)
		}
	}
	for _, w := range m.workloads {
		a.planHosts(w)
		if w.valid {
			a.planWorkload(w)
		}
	}
	for _, f := range a.forges {
		a.demandPublicURL(f)
	}
}

func (a *applier) planForge(f manifestForge) {
	p := &plannedForge{at: f.at, schema: f.schema, row: f.row}
	if saved, ok := a.savedForges[p.row.Name]; ok {
		if saved.Kind != p.row.Kind {
			a.faults = append(a.faults, f.at.get("kind").fault(
				"the forge %s is of kind %s, which cannot be changed: choose another name", saved.Name, saved.Kind))
			return
		}
		p.saved, p.row = &saved, f.over(saved)
	}
	if p.row.Credentials.WebhookSecret == "" {
		p.row.Credentials.WebhookSecret = rand.Text()
	}
	if !p.changed() {
		p.row = *p.saved
	}
	a.openPlanned(p)
}

// openPlanned lets the forge's own package check the row.
func (a *applier) openPlanned(p *plannedForge) *plannedForge {
	var err error
	if p.open, err = a.opener.OpenRow(p.row); err != nil {
		a.faults = append(a.faults, p.at.fault("%v", err))
		return nil
	}
	a.forges = append(a.forges, p)
	return p
}

func (a *applier) planWorkload(w manifestWorkload) {
	forge := a.forgeOf(w)
	if forge == nil {
		return // what is wrong with the forge was said
	}
	if _, _, ok := app.SplitName(w.repository); !ok && !forge.schema.nests {
		a.faults = append(a.faults, w.at.get("repository").fault(
			`must be an owner and a name, such as "acme/site": %s is of kind %s, which has no groups within groups`, forge.row.Name, forge.row.Kind))
		return
	}
	p := &plannedWorkload{at: w.at, entry: &w, row: w.row, repository: a.repositoryOf(w, forge)}
	if saved, ok := a.savedWorkloads[w.row.Name]; ok && saved.DeletedAt == nil {
		p.saved = &saved
	}
	var err error
	if p.row.Routing.BasicAuth, err = basicAuth(w.users, p.saved); err != nil {
		a.faults = append(a.faults, w.at.fault("%v", err))
	}
	a.faults = append(a.faults, w.routeFaults(p.row, a.check)...)
	a.workloads = append(a.workloads, p)
}

func (a *applier) forgeOf(w manifestWorkload) *plannedForge {
	for _, f := range a.forges {
		if f.row.Name == w.forge {
			return f
		}
	}
	saved, ok := a.savedForges[w.forge]
	if !ok || a.manifest.hasForge(w.forge) {
		return nil
	}
	return a.openPlanned(&plannedForge{at: w.at.get("forge"), schema: forgeSchemas()[saved.Kind], row: saved, saved: &saved})
}

func (a *applier) repositoryOf(w manifestWorkload, forge *plannedForge) *plannedRepository {
	for _, r := range a.repositories {
		if r.forge == forge && strings.EqualFold(r.name, w.repository) {
			return r
		}
	}
	r := &plannedRepository{at: w.at.get("repository"), forge: forge, name: w.repository}
	a.repositories = append(a.repositories, r)
	return r
}

// demandPublicURL reports a forge that has to be told where we are, when that is not known.
func (a *applier) demandPublicURL(f *plannedForge) {
	if _, ok := f.open.(app.Hooker); !ok || a.publicURL != "" {
		return
	}
	used := slices.ContainsFunc(a.repositories, func(r *plannedRepository) bool { return r.forge == f })
	if used || f.secretChanged() && len(a.savedRepositories(f)) > 0 {
		a.faults = append(a.faults, f.at.fault("needs a webhook in each repository: set --public-url (TINYFORGE_PUBLIC_URL) "+
			"to the address at which the forge %s reaches this server", f.row.Name))
	}
}

// savedRepositories are the repositories of a forge that workloads of the database use, by id.
func (a *applier) savedRepositories(f *plannedForge) map[int64]db.Repository {
	used := map[int64]db.Repository{}
	for _, w := range a.savedWorkloads {
		home := a.savedHomes[w.RepositoryID]
		if w.DeletedAt == nil && f.saved != nil && home.ForgeID == f.saved.ID {
			used[home.ID] = home
		}
	}
	return used
}

// hookURL is "" when nobody knows where we are reached.
func (a *applier) hookURL(forge string) string {
	if a.publicURL == "" {
		return ""
	}
	return app.HookURL(a.publicURL, forge)
}

// said prints what became of an object.
func (a *applier) said(became, object string, args ...any) {
	fmt.Fprintf(a.out, "%s: %s\n", fmt.Sprintf(object, args...), became)
}
