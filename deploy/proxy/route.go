package proxy

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// route is one host and what it points at.
type route struct {
	host    string
	target  atomic.Pointer[target]  // nil once the route is deleted
	options atomic.Pointer[options] // nil for none

	inflight, waiting, requests, failed atomic.Int64

	complained atomic.Int64 // Unix seconds of the last warning about its upstream
}

// Stats are the figures of a route since it was made.
type Stats struct {
	Host     string
	InFlight int64 // requests now, streams and waiting ones included
	Waiting  int64 // requests now, waiting on the held route
	Requests int64 // all
	Failed   int64 // answered by the proxy itself: 502, 503 and 504
}

var (
	errDeleted   = errors.New("the route is gone")
	errCrowded   = errors.New("too many requests wait for the next release")
	errLeft      = errors.New("the client is gone")
	errNoRoom    = errors.New("too much is held by requests that wait")
	errImpatient = errors.New("the next release took too long")
	errClosing   = errors.New("the proxy is stopping")
)

func newRoute(host string, o *options, t *target) *route {
	r := &route{host: host}
	r.options.Store(o)
	r.target.Store(t)
	return r
}

// acquire counts a request in at the route's target and returns it; nil when the route is deleted. The pointer is read
// again after counting: only then has a swap either seen the count or been seen.
func (r *route) acquire() *target {
	for {
		t := r.target.Load()
		if t == nil {
			return nil
		}
		t.inflight.Add(1)
		if r.target.Load() == t {
			return t
		}
		t.release()
	}
}

// await is acquire for a request that is willing to wait while the route is held.
func (tb *Table) await(ctx context.Context, r *route, g guest) (*target, error) {
	t := r.acquire()
	if t == nil {
		return nil, errDeleted
	}
	if !t.held() {
		return t, nil
	}
	timer := time.NewTimer(tb.holdFor)
	defer timer.Stop()
	for t != nil && t.held() {
		t.release()
		if err := tb.waitAt(ctx, r, t, g, timer.C); err != nil {
			return nil, err
		}
		t = r.acquire()
	}
	if t == nil {
		return nil, errDeleted
	}
	return t, nil
}

// waitAt waits for a gate to open.
func (tb *Table) waitAt(ctx context.Context, r *route, gate *target, g guest, limit <-chan time.Time) error {
	defer gate.waiting.Add(-1)
	if gate.waiting.Add(1) > tb.holdLimit {
		return errCrowded
	}
	if !tb.room.take(g.size) {
		return errNoRoom
	}
	defer tb.room.giveBack(g.size)
	r.waiting.Add(1)
	defer r.waiting.Add(-1)
	look, stop := g.looks()
	defer stop()
	for {
		select {
		case <-gate.gate:
			return nil
		case <-limit:
			return errImpatient
		case <-tb.closing.Done():
			return errClosing
		case <-ctx.Done():
			return ctx.Err()
		case <-look:
			if g.left() {
				return errLeft
			}
		}
	}
}

func (r *route) stats() Stats {
	return Stats{
		Host:     r.host,
		InFlight: r.inflight.Load(),
		Waiting:  r.waiting.Load(),
		Requests: r.requests.Load(),
		Failed:   r.failed.Load(),
	}
}

// mayComplain tells whether a warning about the route's upstream is due: one a second.
func (r *route) mayComplain(now time.Time) bool {
	last := r.complained.Load()
	return now.Unix() > last && r.complained.CompareAndSwap(last, now.Unix())
}
