package app

import "sync"

// reporterCalls are the calls in progress, at most reportsPerForge to each forge.
type reporterCalls struct {
	ended chan struct{} // holds a token after a call has ended

	group sync.WaitGroup
	mu    sync.Mutex
	count map[int64]int // by forge
}

func newReporterCalls() *reporterCalls {
	return &reporterCalls{ended: make(chan struct{}, 1), count: map[int64]int{}}
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

// full returns the forges that get no further call for now.
func (c *reporterCalls) full() []int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	var forges []int64
	for forge, n := range c.count {
		if n >= reportsPerForge {
			forges = append(forges, forge)
		}
	}
	return forges
}

func (c *reporterCalls) wait() { c.group.Wait() }
