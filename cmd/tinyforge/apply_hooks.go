package main

import (
	"context"
	"errors"

	"tinyforge/app"
	"tinyforge/db"
)

// ensureHooks sees to the webhooks of all repositories that workloads use, those of workloads which are not in the file
// too, as far as the file knows their forges.
func (a *applier) ensureHooks(ctx context.Context) {
	for _, f := range a.forges {
		hooker, ok := f.open.(app.Hooker)
		if !ok || a.publicURL == "" {
			continue
		}
		done := map[int64]bool{}
		for _, r := range a.repositories {
			if r.forge == f && !done[r.row.ID] {
				done[r.row.ID] = true
				a.ensureHook(ctx, hooker, f, r.row, r.at)
			}
		}
		for id, repo := range a.savedRepositories(f) {
			if !done[id] && a.inUse()[id] {
				a.ensureHook(ctx, hooker, f, repo, f.at)
			}
		}
	}
}

func (a *applier) ensureHook(ctx context.Context, hooker app.Hooker, f *plannedForge, repo db.Repository, at *manifestNode) {
	made, err := app.RegisterHook(ctx, a.store, hooker, repo.ID, a.hookURL(f.row.Name))
	if err != nil {
		a.faults = append(a.faults, at.fault("webhook of %s: %s", repo.FullName, f.schema.explain(err)))
		return
	}
	a.said(createdOr(unchanged, made), "webhook of %s on %s", repo.FullName, f.row.Name)
}

// inUse has the ids of the repositories that workloads use now.
func (a *applier) inUse() map[int64]bool {
	used := map[int64]bool{}
	for _, r := range a.repositories {
		used[r.row.ID] = true
	}
	for _, w := range a.savedWorkloads {
		if w.DeletedAt == nil && !a.prune && !a.manifest.hasWorkload(w.Name) {
			used[w.RepositoryID] = true
		}
	}
	return used
}

// removeHooks removes the webhooks of repositories that no workload uses any more: their workload has moved, or was
// deleted. What is left behind does no harm, so it keeps nothing from being deleted.
func (a *applier) removeHooks(ctx context.Context) {
	used, done := a.inUse(), map[int64]bool{}
	for _, name := range sortedKeys(a.savedWorkloads) {
		w := a.savedWorkloads[name]
		moved := w.DeletedAt == nil && a.manifest.hasWorkload(name)
		if used[w.RepositoryID] || done[w.RepositoryID] || !moved && !a.prune {
			continue
		}
		done[w.RepositoryID] = true
		a.removeUnused(ctx, a.savedHomes[w.RepositoryID], w.DeletedAt == nil)
	}
}

// removeUnused removes the webhook of a repository; announce it where that was not done before.
func (a *applier) removeUnused(ctx context.Context, repo db.Repository, announce bool) {
	f, err := a.forgeByID(repo.ForgeID)
	if err != nil {
		a.faults = append(a.faults, manifestFault{Path: "webhook of " + repo.FullName, Text: "it was left: " + err.Error()})
		return
	}
	hooker, ok := f.open.(app.Hooker)
	if !ok {
		return
	}
	if a.publicURL == "" && repo.HookURL == "" {
		a.said("left, since without --public-url its address is not known", "webhook of %s on %s", repo.FullName, f.row.Name)
		return
	}
	if err := app.UnregisterHook(ctx, a.store, hooker, repo.ID, a.hookURL(f.row.Name)); err != nil {
		a.faults = append(a.faults, manifestFault{
			Path: "webhook of " + repo.FullName + " on " + f.row.Name,
			Text: "it was left, remove it there by hand: " + f.schema.explain(err),
		})
		return
	}
	if announce {
		a.said(deleted, "webhook of %s on %s", repo.FullName, f.row.Name)
	}
}

func (a *applier) forgeByID(id int64) (*plannedForge, error) {
	for _, f := range a.forges {
		if f.row.ID == id {
			return f, nil
		}
	}
	for _, saved := range a.savedForges {
		if saved.ID == id {
			open, err := a.opener.OpenRow(saved)
			return &plannedForge{schema: forgeSchemas()[saved.Kind], row: saved, saved: &saved, open: open}, err
		}
	}
	return nil, errors.New("its forge is gone")
}
