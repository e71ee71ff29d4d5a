package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// visit is a request and what came of it. Its times are since the load began.
type visit struct {
	kind       visitKind
	sent, done time.Duration
	version    int64 // of the program that answered, 0 when it failed
	why        error // it failed
}

type visitKind int

const (
	getKept  visitKind = iota // GET over a connection that is kept
	getFresh                  // GET over a connection of its own, which it waits for too
	postKept                  // POST of 4 kB over a connection that is kept, to what takes slowTime
)

const slowTime = 30 * time.Millisecond

// habits are those of the load's visitors: 500 requests a second in all, evenly: those of one habit come each 5 or 10 ms, and the
// habits begin so that they do not come together. Each has to wait for an answer for long to be late.
func habits() []habit {
	return []habit{
		{getKept, 10, 200, 0, request("GET", "/", host, nil)},
		{getFresh, 10, 100, 1250 * time.Microsecond, request("GET", "/", host, nil, "Connection: close")},
		{postKept, 20, 200, 2500 * time.Microsecond, request("POST", "/slow", host, make([]byte, 4<<10))},
	}
}

type habit struct {
	kind      visitKind
	clients   int
	perSecond float64
	begins    time.Duration // after the load does
	request   []byte
}

// visitors send the load until they are told to go.
type visitors struct {
	begun time.Time
	leave context.CancelFunc
	group sync.WaitGroup
	mu    sync.Mutex
	all   []visit
}

// invite begins the load. Who invites ends it.
func invite(ctx context.Context, to place) *visitors {
	ctx, leave := context.WithCancel(ctx)
	v := &visitors{begun: time.Now(), leave: leave}
	for _, h := range habits() {
		every := time.Duration(float64(h.clients) / h.perSecond * float64(time.Second))
		for n := range h.clients {
			v.group.Go(func() {
				one := &visitor{habit: h, to: to, begun: v.begun}
				visits := one.stay(ctx, h.begins+every*time.Duration(n)/time.Duration(h.clients), every)
				v.mu.Lock()
				defer v.mu.Unlock()
				v.all = append(v.all, visits...)
			})
		}
	}
	return v
}

// end lets them have the answers they wait for, and returns all visits.
func (v *visitors) end() []visit {
	v.leave()
	v.group.Wait()
	return v.all
}

// visitor sends one request after the other, and none twice. A connection that the server has closed already is not used.
type visitor struct {
	habit
	to    place
	begun time.Time
	conn  *client // nil for none
}

// stay sends a request each time it is due, the first after the given time. Of those that were due while it waited for an answer
// it sends the last one alone.
func (v *visitor) stay(ctx context.Context, due, every time.Duration) (all []visit) {
	defer v.drop()
	for ctx.Err() == nil {
		time.Sleep(time.Until(v.begun.Add(due)))
		if ctx.Err() != nil {
			break
		}
		one := visit{kind: v.kind, sent: time.Since(v.begun)}
		one.version, one.why = v.send(context.WithoutCancel(ctx))
		one.done = time.Since(v.begun)
		all = append(all, one)
		for due += every; due+every < one.done; {
			due += every
		}
	}
	return all
}

func (v *visitor) send(ctx context.Context) (version int64, err error) {
	if v.conn != nil && v.conn.seenClosed() {
		v.drop()
	}
	if v.conn == nil {
		if v.conn, err = v.to.dial(ctx); err != nil {
			return 0, err
		}
	}
	a, err := v.conn.exchange(v.request)
	if err != nil || a.closes || v.kind == getFresh {
		v.drop()
	}
	if err == nil && a.status != 200 {
		err = fmt.Errorf("answered %d", a.status)
	}
	if err != nil {
		return 0, err
	}
	return a.version, nil
}

func (v *visitor) drop() {
	if v.conn != nil {
		v.conn.close()
		v.conn = nil
	}
}
