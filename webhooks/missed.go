package webhooks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tinyforge/app"
	"tinyforge/db"
)

// EventMissed is the event of deliveries that never came: we found out ourselves.
const EventMissed = "missed"

// LookForMissed compares the branches of all repositories of a forge that workloads use with what was delivered last, and
// records what is missing as a delivery that says so, with its deployments, as if it had come. A branch of which no delivery is
// known counts only where a workload names it without a pattern; tags do not count, since old ones cannot be told from new.
// A forge that remembers what it could not deliver, tags too, is asked for that: it comes as any delivery does.
// It returns how many were found, and what was queued for them. Repeating it is harmless. An error of one repository does not
// keep it from the others.
func (h *Handler) LookForMissed(ctx context.Context, row db.Forge) (found int, queued []int64, err error) {
	return h.look(ctx, row, func(_ context.Context, workloads []db.Workload, repo db.Repository, ref, _ string) (string, bool, error) {
		return "", named(workloads, repo, ref), nil
	})
}

// unknownBranch decides about a branch of which no delivery is known: whether it was pushed to, and from where.
type unknownBranch func(ctx context.Context, workloads []db.Workload, repo db.Repository, ref, commit string) (before string, moved bool, err error)

// sinceFirstSeen is an unknownBranch: it was pushed to when it is no longer where it was seen first, since workloads follow it.
// What was there then nobody asked to deploy.
func (h *Handler) sinceFirstSeen(ctx context.Context, workloads []db.Workload, repo db.Repository, ref, commit string) (before string, moved bool, err error) {
	since := time.Now()
	for _, w := range workloads {
		if w.Enabled && app.Follows(w, repo, ref) && w.CreatedAt.Before(since) {
			since = w.CreatedAt
		}
	}
	first, err := h.db.FirstSeen(ctx, repo.ID, ref, commit, since)
	return first, first != commit, err
}

func (h *Handler) look(ctx context.Context, row db.Forge, unknown unknownBranch) (found int, queued []int64, err error) {
	forge, err := h.open(row)
	if err != nil {
		return 0, nil, err
	}
	repos, err := h.db.UsedRepositories(ctx, row.ID)
	if err != nil {
		return 0, nil, err
	}
	var faults []error
	for _, repo := range repos {
		n, ids, err := h.lookAt(ctx, row, forge, repo, unknown)
		found, queued = found+n, append(queued, ids...)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", repo.FullName, err))
		}
	}
	asked, err := h.redeliver(ctx, row, forge)
	if err != nil {
		faults = append(faults, fmt.Errorf("ask for failed deliveries: %w", err))
	}
	if asked > 0 {
		h.log.InfoContext(ctx, "the forge was asked for deliveries that did not get here", "forge", row.Name, "deliveries", asked)
	}
	return found, queued, errors.Join(faults...)
}

// lookAt reads what was delivered before it asks for the branches: of a push that is delivered meanwhile the order is known
// then, and what was seen before it does not come after it.
func (h *Handler) lookAt(ctx context.Context, row db.Forge, forge app.Forge, repo db.Repository, unknown unknownBranch) (found int, queued []int64, err error) {
	workloads, err := h.db.WorkloadsOf(ctx, repo.ID)
	if err != nil {
		return 0, nil, err
	}
	moves, err := h.db.LastMoves(ctx, repo.ID)
	if err != nil {
		return 0, nil, err
	}
	heads, err := forge.Heads(ctx, repo)
	if err != nil {
		return 0, nil, err
	}
	for ref, commit := range heads {
		if !strings.HasPrefix(ref, "refs/heads/") || !followed(workloads, repo, ref) {
			continue
		}
		before, known := moves[ref]
		moved := before != commit
		if !known {
			if before, moved, err = unknown(ctx, workloads, repo, ref, commit); err != nil {
				return found, queued, err
			}
		}
		if !moved {
			continue
		}
		done, err := h.record(ctx, row, app.Push{
			DeliveryID: fmt.Sprintf("%s-%d-%s-%d", EventMissed, repo.ID, commit, time.Now().UnixMicro()), Event: EventMissed,
			Repository: repo, Ref: ref, Before: before, After: commit, Commit: commit, RepositorySigned: true,
		}, nil)
		if err != nil {
			return found, queued, err
		}
		found, queued = found+1, append(queued, done.Deployments...)
	}
	return found, queued, nil
}

func followed(workloads []db.Workload, repo db.Repository, ref string) bool {
	for _, w := range workloads {
		if w.Enabled && app.Follows(w, repo, ref) {
			return true
		}
	}
	return false
}

// named tells whether a workload follows this ref and no other.
func named(workloads []db.Workload, repo db.Repository, ref string) bool {
	for _, w := range workloads {
		if w.Enabled && app.Follows(w, repo, ref) && !strings.ContainsAny(w.RefPattern, "*?[{\\") {
			return true
		}
	}
	return false
}
