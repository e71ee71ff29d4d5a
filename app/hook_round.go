package app

import (
	"context"
	"errors"
	"slices"

	"tinyforge/db"
)

// hookRound is what the keeper of one forge remembers from look to look.
type hookRound struct {
	*HookKeeper
	forgeID int64
	name    string           // of the forge
	seen    map[int64]string // what the webhook signs with, by its repository, where it was found in order
	faults  map[int64]string // what was said last of a repository where something went wrong; of the forge itself at 0
}

func newHookRound(k *HookKeeper, forgeID int64) *hookRound {
	return &hookRound{HookKeeper: k, forgeID: forgeID, seen: map[int64]string{}, faults: map[int64]string{}}
}

// doubt has the next look take nothing for granted.
func (r *hookRound) doubt() { clear(r.seen) }

// look brings all webhooks of the forge in step. It reports whether it changed any on the forge, and whether all went well.
func (r *hookRound) look(ctx context.Context) (changed, ok bool) {
	public, err := r.publicURL(ctx)
	if err != nil || public == "" {
		return false, r.went(ctx, db.Repository{}, err)
	}
	row, hooker, err := r.hooker(ctx)
	if hooker == nil {
		return false, r.went(ctx, db.Repository{}, err)
	}
	url := HookURL(public, row.Name)
	used, left, err := r.db.HookedRepositories(ctx, r.forgeID)
	if !r.went(ctx, db.Repository{}, err) {
		return false, false
	}
	ok = true
	for i, repo := range slices.Concat(used, left) {
		do := r.register
		if i >= len(used) {
			do = r.unregister
		}
		done, err := r.bounded(ctx, func(ctx context.Context) (bool, error) { return do(ctx, hooker, row, repo, url) })
		changed, ok = changed || done, r.went(ctx, repo, err) && ok
		if _, answered := errors.AsType[*StatusError](err); err != nil && !answered {
			break // the others would wait as long, for nothing
		}
	}
	return changed, ok
}

// hooker opens the forge. It is nil where there is none, and where the forge needs no webhooks of repositories.
func (r *hookRound) hooker(ctx context.Context) (db.Forge, Hooker, error) {
	row, err := r.db.Forge(ctx, r.forgeID)
	if err != nil {
		return db.Forge{}, nil, err
	}
	r.name = row.Name
	forge, err := r.open(row)
	if err != nil {
		return db.Forge{}, nil, err
	}
	hooker, _ := forge.(Hooker)
	return row, hooker, nil
}

func (r *hookRound) bounded(ctx context.Context, do func(context.Context) (bool, error)) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	return do(ctx)
}

// register makes the repository's webhook what it should be, unless it was found so already.
func (r *hookRound) register(ctx context.Context, h Hooker, row db.Forge, repo db.Repository, url string) (changed bool, err error) {
	secret := h.HookSecret(repo)
	if r.seen[repo.ID] == secret && repo.HookURL == url && repo.HookFingerprint != "" {
		return false, nil
	}
	changed, err = RegisterHook(ctx, r.db, h, repo.ID, url)
	if err != nil {
		return changed, err
	}
	r.seen[repo.ID] = secret
	if changed {
		r.log.InfoContext(ctx, "webhook registered", "forge", row.Name, "repository", repo.FullName)
	}
	return changed, nil
}

func (r *hookRound) unregister(ctx context.Context, h Hooker, row db.Forge, repo db.Repository, url string) (bool, error) {
	if err := UnregisterHook(ctx, r.db, h, repo.ID, url); err != nil {
		return false, err
	}
	delete(r.seen, repo.ID)
	r.log.InfoContext(ctx, "webhook removed: no workload uses the repository any more", "forge", row.Name, "repository", repo.FullName)
	return true, nil
}

// went tells whether all went well and logs, once, what did not.
func (r *hookRound) went(ctx context.Context, repo db.Repository, err error) bool {
	if err == nil {
		delete(r.faults, repo.ID)
		return true
	}
	if ctx.Err() == nil && r.faults[repo.ID] != err.Error() {
		r.faults[repo.ID] = err.Error()
		r.log.WarnContext(ctx, "webhook is not in step; trying again", "forge", r.name, "repository", repo.FullName, "error", err)
	}
	return false
}
