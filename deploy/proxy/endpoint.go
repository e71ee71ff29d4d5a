package proxy

import (
	"sync/atomic"
	"time"
)

// endpoint is one of the addresses of an upstream.
type endpoint struct {
	addr     string
	inflight atomic.Int64
	rests    atomic.Int64 // until when others are chosen, in ns since 1970: it could not be dialed
}

// restFor is how long an address that could not be dialed is left alone, where there are others.
const restFor = 5 * time.Second

func newEndpoints(addresses []string) []*endpoint {
	var list []*endpoint
	for _, addr := range addresses {
		list = append(list, &endpoint{addr: addr})
	}
	return list
}

// pick chooses where the next request of a target goes, and counts it in there: where the fewest are, in turn where as many are; nil
// for a target without an upstream. Where all rest, it is the one that rests least.
func (t *target) pick() *endpoint {
	var best *endpoint
	if len(t.ends) == 1 {
		best = t.ends[0]
	} else if n := uint64(len(t.ends)); n > 0 {
		now, first := time.Now().UnixNano(), t.turns.Add(1)
		for i := range n {
			if e := t.ends[(first+i)%n]; best == nil || e.before(best, now) {
				best = e
			}
		}
	}
	if best != nil {
		best.inflight.Add(1)
	}
	return best
}

// before tells whether a request should rather go here than there.
func (e *endpoint) before(other *endpoint, now int64) bool {
	mine, others := max(e.rests.Load()-now, 0), max(other.rests.Load()-now, 0)
	if mine != others {
		return mine < others
	}
	return e.inflight.Load() < other.inflight.Load()
}

// rest is for an address that could not be dialed. It tells whether there is another one that can be tried at once.
func (t *target) rest(e *endpoint) (another bool) {
	now := time.Now()
	e.rests.Store(now.Add(restFor).UnixNano())
	for _, other := range t.ends {
		if other.rests.Load() <= now.UnixNano() {
			return true
		}
	}
	return false
}
