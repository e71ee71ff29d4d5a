package main

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"tinyforge/db"
)

const (
	created   = "created"
	changed   = "changed"
	unchanged = "unchanged"
	deleted   = "deleted"
)

// run writes what was planned and looked up. Webhooks come last: what is wrong with one keeps nothing else from being
// done.
func (a *applier) run(ctx context.Context) error {
	for _, f := range a.forges {
		if err := a.saveForge(ctx, f); err != nil {
			return err
		}
	}
	for _, r := range a.repositories {
		if err := a.saveRepository(ctx, r); err != nil {
			return err
		}
	}
	if err := a.leaveWorkloads(ctx); err != nil {
		return err
	}
	if err := a.saveWorkloads(ctx); err != nil {
		return err
	}
	a.ensureHooks(ctx)
	a.removeHooks(ctx)
	return errors.Join(a.leaveForges(ctx), a.faults.err())
}

// lookup finds the repositories of the file, in the database or at their forges. New credentials are tried even where
// there is nothing to ask for. It writes nothing.
func (a *applier) lookup(ctx context.Context) error {
	for _, r := range a.repositories {
		if r.forge.saved == nil {
			continue
		}
		row, err := a.store.RepositoryByName(ctx, r.forge.saved.ID, r.name)
		if err != nil && !errors.Is(err, db.ErrNotFound) {
			return err
		}
		r.row = row
	}
	for _, f := range a.forges {
		if err := a.ask(ctx, f); err != nil {
			return err
		}
	}
	return a.faults.err()
}

func (a *applier) ask(ctx context.Context, f *plannedForge) error {
	wanted := map[string]*plannedRepository{}
	for _, r := range a.repositories {
		// a webhook about an installation does not name the default branch
		if r.forge == f && r.row.DefaultBranch == "" {
			wanted[strings.ToLower(r.name)] = r
		}
	}
	if len(wanted) == 0 && !f.changed() {
		return nil
	}
	missing, err := find(ctx, f, wanted)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		a.faults = append(a.faults, f.at.fault("%s", f.schema.explain(err)))
		return nil
	}
	for _, r := range missing {
		a.faults = append(a.faults, r.at.fault("the forge %s does not show this repository: %s", f.row.Name, f.schema.unseen))
	}
	return nil
}

// find asks for all that is wanted and returns what there is not. A part of the listing that fails matters only when
// something is missing.
func find(ctx context.Context, f *plannedForge, wanted map[string]*plannedRepository) (missing []*plannedRepository, err error) {
	answered := false
	for found, problem := range f.open.Repositories(ctx) {
		if problem != nil {
			err = cmp.Or(err, problem)
			continue
		}
		answered = true
		name := strings.ToLower(found.Repository.FullName)
		if r := wanted[name]; r != nil {
			r.found = &found
			delete(wanted, name)
		}
		if len(wanted) == 0 {
			break
		}
	}
	if err != nil && (len(wanted) > 0 || !answered) {
		return nil, err
	}
	for _, name := range sortedKeys(wanted) {
		missing = append(missing, wanted[name])
	}
	return missing, nil
}

func (a *applier) saveForge(ctx context.Context, f *plannedForge) error {
	if !f.changed() {
		if a.manifest.hasForge(f.row.Name) {
			a.said(unchanged, "forge %s", f.row.Name)
		}
		return nil
	}
	save := a.store.ChangeForge
	if f.saved == nil {
		save = a.store.CreateForge
	}
	if err := save(ctx, &f.row); err != nil {
		return f.at.fault("%v: apply again", err)
	}
	a.said(createdOr(changed, f.saved == nil), "forge %s", f.row.Name)
	var err error
	f.open, err = a.opener.OpenRow(f.row)
	return err
}

func createdOr(otherwise string, isNew bool) string {
	if isNew {
		return created
	}
	return otherwise
}

// saveRepository saves what the forge said, and the installation with it.
func (a *applier) saveRepository(ctx context.Context, r *plannedRepository) error {
	forgeID, became := r.forge.row.ID, unchanged
	if r.found != nil {
		saved, err := a.store.RepositoryByExternalID(ctx, forgeID, r.found.Repository.ExternalID)
		isNew := errors.Is(err, db.ErrNotFound)
		if err != nil && !isNew {
			return err
		}
		r.row = saved
		if isNew || !r.asFound() {
			became = createdOr(changed, isNew)
			if err := a.writeFound(ctx, r); err != nil {
				return err
			}
		}
	}
	a.said(became, "repository %s on %s", r.row.FullName, r.forge.row.Name)
	return nil
}

// asFound tells whether the row says what the forge says.
func (r *plannedRepository) asFound() bool {
	found := r.found.Repository
	return !r.row.Removed && r.row.FullName == found.FullName && r.row.Private == found.Private &&
		(found.DefaultBranch == "" || r.row.DefaultBranch == found.DefaultBranch) &&
		(r.row.InstallationID != 0) == (r.found.Installation != nil)
}

func (a *applier) writeFound(ctx context.Context, r *plannedRepository) (err error) {
	row := r.found.Repository
	row.ForgeID = r.forge.row.ID
	if r.found.Installation == nil {
		err = a.store.SaveRepository(ctx, &row)
	} else {
		change := db.InstallationChange{Installation: *r.found.Installation, Added: []db.Repository{row}}
		change.Installation.ForgeID = row.ForgeID
		err = a.store.ApplyInstallationChange(ctx, change)
	}
	if err == nil {
		r.row, err = a.store.RepositoryByExternalID(ctx, row.ForgeID, row.ExternalID)
	}
	return err
}

func (a *applier) saveWorkload(ctx context.Context, w *plannedWorkload) error {
	w.row.RepositoryID = w.repository.row.ID
	became := unchanged
	if w.changed() {
		became = createdOr(changed, w.saved == nil)
		w.keepPlain()
		err := a.store.SaveWorkload(ctx, &w.row)
		if errors.Is(err, db.ErrHostTaken) {
			return w.taken(err)
		}
		if err != nil {
			return err
		}
	}
	a.said(became, "workload %s", w.row.Name)
	return nil
}

// keepPlain lets the pages go on to show what they show, as far as it is still the same: a new value may be a secret.
func (w *plannedWorkload) keepPlain() {
	if w.saved == nil {
		return
	}
	w.row.FormKey = w.saved.FormKey
	for _, name := range w.saved.Plain {
		if value, ok := w.row.Env[name]; ok && value == w.saved.Env[name] {
			w.row.Plain = append(w.row.Plain, name)
		}
	}
}
