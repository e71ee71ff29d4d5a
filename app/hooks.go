package app

import (
	"context"
	"log/slog"
	"time"

	"tinyforge/db"
)

const (
	hookTimeout    = 2 * time.Minute // for the webhook of one repository
	hookRetry      = 2 * time.Second
	hookSlowest    = 10 * time.Minute
	hookSecondLook = time.Minute // after a change: another process may have made the same one at the same time
)

// HookKeeper keeps the webhooks of the repositories in step with the workloads, on every forge that is a Hooker: one is
// registered with the first workload of a repository, repaired when somebody deleted or disabled it, and removed with the
// last workload. Each forge is kept on its own: one that is down delays no other.
type HookKeeper struct {
	db        *db.DB
	open      func(row db.Forge) (Forge, error)
	publicURL PublicURL
	every     time.Duration
	retry     time.Duration // first pause after a failure; it doubles
	log       *slog.Logger
}

// NewHookKeeper makes a keeper. publicURL is where the forges reach this Tinyforge; while it is not known there is nothing to
// keep, and when it changes every webhook moves. Every so often each webhook is looked at, also when nothing has changed.
func NewHookKeeper(
	d *db.DB, open func(row db.Forge) (Forge, error), publicURL PublicURL, every time.Duration, log *slog.Logger,
) *HookKeeper {
	return &HookKeeper{db: d, open: open, publicURL: publicURL, every: every, retry: hookRetry, log: log}
}

// Run keeps the webhooks until ctx is done. Then it returns as soon as the calls in progress have ended, which ctx ends too.
func (k *HookKeeper) Run(ctx context.Context) error {
	wake, cancel := k.db.Subscribe(db.TopicWorkloads)
	defer cancel()
	moved, cancel := k.db.Subscribe(db.TopicSettings)
	defer cancel()
	tick := time.NewTicker(k.every)
	defer tick.Stop()
	crew := newHookCrew()
	defer crew.wait()
	said := false
	for ctx.Err() == nil {
		public, err := k.publicURL(ctx)
		var forges []db.Forge
		if err == nil {
			forges, err = k.db.Forges(ctx)
		}
		switch {
		case err != nil && ctx.Err() == nil:
			k.log.ErrorContext(ctx, "find forges to keep webhooks on", "error", err)
		case err == nil && public != "":
			crew.assign(ctx, forges, k.keep)
		case err == nil && !said:
			said = true
			k.log.InfoContext(ctx, "webhooks are not kept in step yet: forges cannot be told where until the address of this Tinyforge is set, in its settings or with --public-url")
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-moved:
		case <-tick.C:
		}
	}
	return nil
}

// keep looks at one forge again and again: when it is woken, for what has changed here, and when its pause is over, for
// everything. A forge that fails is left alone until its pause is over.
func (k *HookKeeper) keep(ctx context.Context, forgeID int64, wake <-chan struct{}) {
	round := newHookRound(k, forgeID)
	failures := 0
	for ctx.Err() == nil {
		changed, ok := round.look(ctx)
		pause, woken := k.every, wake
		switch {
		case !ok:
			pause, woken = min(k.retry<<min(failures, 16), hookSlowest), nil
			failures++
		case changed:
			pause, failures = min(hookSecondLook, k.every), 0
		default:
			failures = 0
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-woken:
		case <-timer.C:
			round.doubt()
		}
		timer.Stop()
	}
}
