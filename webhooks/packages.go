package webhooks

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tinyforge/app"
	"tinyforge/db"
)

// recordPackage puts a delivery about a package, and the redeployments that it asks for, into the database.
func (h *Handler) recordPackage(ctx context.Context, row db.Forge, push app.Push, delivery db.Delivery) (db.Enqueued, error) {
	delivery.Ref, delivery.Before, delivery.After = push.Package.Name(), "", push.Package.Digest
	workloads, err := h.db.WorkloadsOn(ctx, row.ID)
	if err != nil {
		return db.Enqueued{}, err
	}
	if push.RepositorySigned { // its own administrators could say anything of others' packages
		repo, err := h.db.RepositoryByExternalID(ctx, row.ID, push.Repository.ExternalID)
		if err != nil && !errors.Is(err, db.ErrNotFound) {
			return db.Enqueued{}, err
		}
		workloads = slices.DeleteFunc(workloads, func(w db.Workload) bool { return w.RepositoryID != repo.ID })
	}
	moved, decision := matchPackage(*push.Package, workloads)
	delivery.Decision = decision
	return h.db.EnqueuePackage(ctx, &delivery, deployments(push, moved))
}

// matchPackage returns the workloads that run a new image and, where there are none, why.
func matchPackage(p app.Package, workloads []db.Workload) (moved []db.Workload, reason string) {
	reason = fmt.Sprintf("package %s: no workload runs it", p.Name())
	for _, w := range workloads {
		switch {
		case !w.FollowsImage(p.Image, p.Tag):
		case !w.Enabled:
			reason = fmt.Sprintf("package %s: workload %s is disabled", p.Name(), w.Name)
		default:
			moved = append(moved, w)
		}
	}
	if len(moved) > 0 {
		return moved, ""
	}
	return nil, reason
}
