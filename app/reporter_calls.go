package app

import (
	"sync"
	"time"

	"tinyforge/db"
)

// reporterCalls are the calls in progress, at most reportsPerForge to each forge, and the ways on which a forge wants none for
// a while.
type reporterCalls struct {
	ended chan struct{} // holds a token after a call has ended

	group sync.WaitGroup
	mu    sync.Mutex
	count map[int64]int // by forge
	rests map[db.Way]time.Time
}

func newReporterCalls() *reporterCalls {
	return &reporterCalls{ended: make(chan struct{}, 1), count: map[int64]int{}, rests: map[db.Way]time.Time{}}
}

// begin runs call on its own and counts it to the forge until it returns.
func (c *reporterCalls) begin(forge int64, call func()) {
	c.add(forge, 1)
	c.group.Go(func() {
		defer c.end(forge)
		call()
	})
}

func (c *reporterCalls) end(forge int64) {
	c.add(forge, -1)
	select {
	case c.ended <- struct{}{}:
	default:
	}
}

func (c *reporterCalls) add(forge int64, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count[forge] += n
}

// rest has no call begin on a way before until.
func (c *reporterCalls) rest(w db.Way, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if until.After(c.rests[w]) {
		c.rests[w] = until
	}
}

// shut returns the ways on which no further call may begin for now, and when the first of them that rests opens; the zero time
// where none does.
func (c *reporterCalls) shut() (ways []db.Way, opens time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for forge, n := range c.count {
		if n >= reportsPerForge {
			ways = append(ways, db.Way{ForgeID: forge})
		}
	}
	for w, until := range c.rests {
		if !until.After(time.Now()) {
			delete(c.rests, w)
			continue
		}
		ways = append(ways, w)
		if opens.IsZero() || until.Before(opens) {
			opens = until
		}
	}
	return ways, opens
}

func (c *reporterCalls) wait() { c.group.Wait() }
