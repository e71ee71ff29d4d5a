package webhooks

import (
	"sync"
	"time"
)

// throttle lets one message a second pass. The zero value is ready; it is safe for concurrent use.
type throttle struct {
	mu   sync.Mutex
	last time.Time
	left int
}

// pass tells whether a message may pass now and, if so, how many were kept back since the last one that did.
func (t *throttle) pass(now time.Time) (left int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.last) < time.Second {
		t.left++
		return 0, false
	}
	left, t.left, t.last = t.left, 0, now
	return left, true
}
