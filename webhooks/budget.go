package webhooks

import (
	"context"
	"time"

	"golang.org/x/sync/semaphore"
)

// Bounds of what the bodies of all requests hold in memory together, in bytes.
const (
	maxHeld      = 64 << 20
	maxHeldLarge = maxHeld - 16<<20 // by large bodies: the rest is for small ones
	smallBody    = 1 << 20          // the largest small body

	holdPatience = 2 * time.Second // how long a body waits for room
)

// budget is the memory for bodies. Requests that stall, or are signed by nobody, cannot take more of it; large ones leave
// room for small ones, which nearly all deliveries are.
type budget struct {
	all, large *semaphore.Weighted
}

func newBudget() budget {
	return budget{all: semaphore.NewWeighted(maxHeld), large: semaphore.NewWeighted(maxHeldLarge)}
}

// loan returns an empty loan for a body of an announced length. Without one, -1, a body counts as large.
func (b budget) loan(length int64) loan {
	if 0 <= length && length <= smallBody {
		return loan{pools: []*semaphore.Weighted{b.all}}
	}
	return loan{pools: []*semaphore.Weighted{b.large, b.all}}
}

// loan is what one body has of the budget.
type loan struct {
	pools []*semaphore.Weighted
	held  int64
}

// raise makes the loan n bytes large. It returns errBusy when there is no room for so much within the patience.
func (l *loan) raise(ctx context.Context, n int64) error {
	ctx, cancel := context.WithTimeout(ctx, holdPatience)
	defer cancel()
	more := n - l.held
	for i, pool := range l.pools {
		if pool.Acquire(ctx, more) != nil {
			for _, taken := range l.pools[:i] {
				taken.Release(more)
			}
			return errBusy
		}
	}
	l.held = n
	return nil
}

// giveBack ends the loan.
func (l *loan) giveBack() {
	for _, pool := range l.pools {
		pool.Release(l.held)
	}
	l.held = 0
}
