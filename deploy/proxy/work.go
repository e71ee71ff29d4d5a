package proxy

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// work counts what is under way on our listeners. busy are connections with a request that is not answered to its last byte,
// and handlers, since those of hijacked connections go on when their connection is no longer the server's. fresh are
// connections until their first request is answered, and listeners until they accept no more: a server that is told to stop
// drops requests that it has not begun with.
type work struct{ busy, fresh tally }

func newWork() *work { return &work{busy: newTally(), fresh: newTally()} }

// connState is an http.Server's ConnState hook.
func (w *work) connState(c net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		w.fresh.add(c)
	case http.StateActive:
		w.busy.add(c)
	case http.StateIdle, http.StateHijacked, http.StateClosed:
		w.busy.remove(c)
		w.fresh.remove(c)
	}
}

// tally is a number that can be waited for to become 0.
type tally struct {
	n      atomic.Int64
	all    sync.Map // what is counted by itself -> nothing
	waited atomic.Bool
	none   chan struct{} // has a value when n has become 0 while somebody waits
}

func newTally() tally { return tally{none: make(chan struct{}, 1)} }

func (t *tally) enter() { t.n.Add(1) }

func (t *tally) leave() {
	if t.n.Add(-1) == 0 && t.waited.Load() {
		select {
		case t.none <- struct{}{}:
		default:
		}
	}
}

// add counts x, once until it is removed.
func (t *tally) add(x any) {
	if _, counted := t.all.LoadOrStore(x, nil); !counted {
		t.enter()
	}
}

func (t *tally) remove(x any) {
	if _, counted := t.all.LoadAndDelete(x); counted {
		t.leave()
	}
}

// wait returns nil when nothing is counted, or else ctx's error. One goroutine may wait.
func (t *tally) wait(ctx context.Context) error {
	t.waited.Store(true)
	for t.n.Load() > 0 {
		select {
		case <-t.none:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// counting is a listener that is counted until it accepts no more: what it has accepted is counted by then.
type counting struct {
	net.Listener
	tally *tally
}

// Accept implements net.Listener. It is called by one goroutine.
func (l *counting) Accept() (net.Conn, error) {
	l.tally.add(l)
	c, err := l.Listener.Accept()
	if err != nil {
		l.tally.remove(l)
	}
	return c, err
}
