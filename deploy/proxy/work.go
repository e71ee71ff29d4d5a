package proxy

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// work counts what is under way on our listeners: connections with a request that is not answered to its last byte, and
// handlers, since those of hijacked connections go on when their connection is no longer the server's.
type work struct {
	n      atomic.Int64
	conns  sync.Map // net.Conn with a request under way -> nothing
	waited atomic.Bool
	none   chan struct{} // has a value when n has become 0 while somebody waits
}

func newWork() *work { return &work{none: make(chan struct{}, 1)} }

func (w *work) enter() { w.n.Add(1) }

func (w *work) leave() {
	if w.n.Add(-1) == 0 && w.waited.Load() {
		select {
		case w.none <- struct{}{}:
		default:
		}
	}
}

// connState is an http.Server's ConnState hook.
func (w *work) connState(c net.Conn, s http.ConnState) {
	switch s {
	case http.StateActive:
		if _, active := w.conns.LoadOrStore(c, nil); !active {
			w.enter()
		}
	case http.StateIdle, http.StateHijacked, http.StateClosed:
		if _, active := w.conns.LoadAndDelete(c); active {
			w.leave()
		}
	}
}

// wait returns nil when nothing is under way, or else ctx's error. One goroutine may wait.
func (w *work) wait(ctx context.Context) error {
	w.waited.Store(true)
	for w.n.Load() > 0 {
		select {
		case <-w.none:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
