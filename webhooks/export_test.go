package webhooks

import (
	"context"
	"sync"
)

// Pass asks every forge that is due, once.
func (p *Poller) Pass(ctx context.Context) {
	var asking sync.WaitGroup
	p.start(ctx, &asking)
	asking.Wait()
}

// Free tells whether n bytes could be lent, to large bodies or to small ones.
func (h *Handler) Free(n int64, large bool) bool {
	pool := h.budget.all
	if large {
		pool = h.budget.large
	}
	if !pool.TryAcquire(n) {
		return false
	}
	pool.Release(n)
	return true
}

// The bounds that tests reach.
const (
	MaxHeld      = maxHeld
	MaxHeldLarge = maxHeldLarge
	AttemptsMost = attemptsMost
)
