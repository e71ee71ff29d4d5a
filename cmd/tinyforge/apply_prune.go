package main

import (
	"context"
	"errors"
	"fmt"

	"tinyforge/db"
)

const leftByChoice = "not in the file (left; --prune deletes it)"

// leaveWorkloads deletes the workloads that are not in the file, or says that they are left. It comes before the others
// are saved, which may take over a host. The releases of a deleted workload are taken down by tinyforge serve.
func (a *applier) leaveWorkloads(ctx context.Context) error {
	for _, name := range sortedKeys(a.savedWorkloads) {
		w := a.savedWorkloads[name]
		switch {
		case a.manifest.hasWorkload(name):
		case w.DeletedAt != nil:
			a.said("is being taken down", "workload %s", name)
		case !a.prune:
			a.said(leftByChoice, "workload %s", name)
		default:
			if err := a.store.DeleteWorkload(ctx, w.ID, false); err != nil {
				return err
			}
			a.said(deleted, "workload %s", name)
		}
	}
	return nil
}

// leaveForges deletes the forges that are not in the file and that no workload needs any more, or says why they are left.
func (a *applier) leaveForges(ctx context.Context) error {
	users, err := a.users(ctx)
	if err != nil {
		return err
	}
	for _, name := range sortedKeys(a.savedForges) {
		if a.manifest.hasForge(name) {
			continue
		}
		became, err := a.leaveForge(ctx, a.savedForges[name], users[a.savedForges[name].ID])
		if err != nil {
			return err
		}
		a.said(became, "forge %s", name)
	}
	return nil
}

func (a *applier) leaveForge(ctx context.Context, f db.Forge, users []db.Workload) (became string, err error) {
	for _, w := range users {
		if w.DeletedAt == nil {
			return fmt.Sprintf("not in the file (left, since workload %s uses it)", w.Name), nil
		}
	}
	switch {
	case !a.prune:
		return leftByChoice, nil
	case len(users) > 0:
		return fmt.Sprintf("not in the file (left, since workload %s is still being taken down; the next --prune deletes it)", users[0].Name), nil
	}
	err = a.store.DeleteForge(ctx, f.ID)
	if errors.Is(err, db.ErrForgeInUse) {
		return "not in the file (left, since a workload that moved away still has deployments from it in its history)", nil
	}
	return deleted, err
}

// users returns the workloads as they are now, by forge.
func (a *applier) users(ctx context.Context) (map[int64][]db.Workload, error) {
	workloads, err := a.store.Workloads(ctx)
	if err != nil {
		return nil, err
	}
	users := map[int64][]db.Workload{}
	for _, w := range workloads {
		repo, err := a.store.Repository(ctx, w.RepositoryID)
		if err != nil {
			return nil, err
		}
		users[repo.ForgeID] = append(users[repo.ForgeID], w)
	}
	return users, nil
}
