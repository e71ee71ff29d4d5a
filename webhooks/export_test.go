package webhooks

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
)
