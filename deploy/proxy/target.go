package proxy

import (
	"context"
	"sync"
	"sync/atomic"

	"tinyforge/deploy"
)

// target is what a route points at, from one Upsert to the next: an upstream, nothing at all, or, on a held route, the
// gate at which requests wait. It is never used a second time, so that its requests can be counted down to zero for good.
type target struct {
	up    deploy.Upstream
	ends  []*endpoint   // of up
	turns atomic.Uint64 // whose turn it is among them
	gate  chan struct{} // of a held route: closed when there is a target to go on to. nil otherwise

	waiting  atomic.Int64 // requests at the gate
	inflight atomic.Int64
	retired  atomic.Bool

	idle     chan struct{} // closed when it is retired and its last request is done
	idleOnce sync.Once

	ctx context.Context // of its requests
	end context.CancelCauseFunc
}

func newTarget(up deploy.Upstream) *target {
	t := &target{up: up, ends: newEndpoints(up.Addrs()), idle: make(chan struct{})}
	t.ctx, t.end = context.WithCancelCause(context.Background())
	return t
}

func newGate(up deploy.Upstream) *target {
	t := newTarget(up)
	t.gate = make(chan struct{})
	return t
}

func (t *target) held() bool { return t.gate != nil }

// retire tells that no route points here any more. It is called once.
func (t *target) retire() {
	t.retired.Store(true)
	if t.held() {
		close(t.gate)
	}
	if t.inflight.Load() == 0 {
		t.idleOnce.Do(func() { close(t.idle) })
	}
}

// release counts one request out.
func (t *target) release() {
	if t.inflight.Add(-1) == 0 && t.retired.Load() {
		t.idleOnce.Do(func() { close(t.idle) })
	}
}

// wait returns nil as soon as the retired target is idle, or else ctx's error.
func (t *target) wait(ctx context.Context) error {
	if t.isIdle() {
		return nil
	}
	select {
	case <-t.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *target) isIdle() bool {
	select {
	case <-t.idle:
		return true
	default:
		return false
	}
}
