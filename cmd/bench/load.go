package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// load is what clients were answered in a time.
type load struct {
	took    time.Duration
	answers int
	size    int64 // bytes of their bodies
	failed  int
	why     error     // the first failure
	delays  []float64 // of the answers, in milliseconds
}

// perSecond is how many answers there were in a second.
func (l *load) perSecond() float64 { return float64(l.answers) / l.took.Seconds() }

// ok fails when a request did.
func (l *load) ok() error {
	if l.failed > 0 {
		return fmt.Errorf("%d of %d requests failed: %w", l.failed, l.failed+l.answers, l.why)
	}
	return nil
}

// merge adds what another client was answered meanwhile.
func (l *load) merge(other *load) {
	l.answers += other.answers
	l.size += other.size
	l.failed += other.failed
	if l.why == nil {
		l.why = other.why
	}
	l.delays = append(l.delays, other.delays...)
}

// hammer lets some clients send a request again and again, each as soon as it has its answer.
func hammer(ctx context.Context, to place, clients int, lasts time.Duration, text []byte) (*load, error) {
	return together(ctx, to, clients, lasts, func(_ int, c *client, until time.Time) *load {
		l := &load{}
		for now := time.Now(); now.Before(until) && ctx.Err() == nil; {
			a, err := c.exchange(text)
			then := now
			now = time.Now()
			if !l.note(a, err, now.Sub(then)) {
				return l
			}
		}
		return l
	})
}

// pace lets some clients send a request so many times a second in all, evenly. A client that waits for an answer longer than its
// turn sends the next one late.
func pace(ctx context.Context, to place, clients int, perSecond float64, lasts time.Duration, text []byte) (*load, error) {
	every := time.Duration(float64(clients) / perSecond * float64(time.Second))
	return together(ctx, to, clients, lasts, func(n int, c *client, until time.Time) *load {
		l := &load{}
		due := time.Now().Add(every * time.Duration(n) / time.Duration(clients))
		for ; due.Before(until) && ctx.Err() == nil; due = due.Add(every) {
			time.Sleep(time.Until(due))
			then := time.Now()
			a, err := c.exchange(text)
			if !l.note(a, err, time.Since(then)) {
				return l
			}
		}
		return l
	})
}

// note counts an answer, and tells whether the connection can go on.
func (l *load) note(a answer, err error, took time.Duration) bool {
	if err == nil && a.status != 200 && a.status != 202 {
		err = fmt.Errorf("answered %d", a.status)
	}
	if err != nil {
		if l.failed++; l.why == nil {
			l.why = err
		}
		return false
	}
	l.answers++
	l.size += a.size
	l.delays = append(l.delays, float64(took)/float64(time.Millisecond))
	return true
}

// together connects all clients first, and then lets them begin at once.
func together(ctx context.Context, to place, clients int, lasts time.Duration, each func(n int, c *client, until time.Time) *load) (*load, error) {
	all := make([]*client, clients)
	for i := range all {
		c, err := to.dial(ctx)
		if err != nil {
			return nil, err
		}
		defer c.close()
		all[i] = c
	}
	return atOnce(ctx, clients, lasts, func(n int, until time.Time) *load { return each(n, all[n], until) })
}

// atOnce lets clients that are connected begin at once, and sums up what they did.
func atOnce(ctx context.Context, clients int, lasts time.Duration, each func(n int, until time.Time) *load) (*load, error) {
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		sum   = &load{}
	)
	begun := time.Now()
	for n := range clients {
		group.Go(func() {
			l := each(n, begun.Add(lasts))
			mu.Lock()
			defer mu.Unlock()
			sum.merge(l)
		})
	}
	group.Wait()
	sum.took = time.Since(begun)
	return sum, ctx.Err()
}
