package db

import (
	"context"
	"sync"
	"time"
)

// crowd lets those who wait for each other be served together, by one of them, whose turn it is. It is safe for concurrent use. Who is
// being served must not join again.
type crowd[T any] struct {
	most int           // of those who are served together
	turn chan struct{} // full while somebody serves

	mu      sync.Mutex
	waiting []*member[T]
}

// member is one of a crowd.
type member[T any] struct {
	ctx    context.Context
	what   T
	err    error // of this one alone
	done   chan struct{}
	undone bool // nothing of it has happened, for a reason that may be another's

	before *member[T]    // who is served first when all are served alone; nil for the first one
	ended  chan struct{} // likewise, when this one has been
	last   bool
}

func newCrowd[T any](most int) *crowd[T] { return &crowd[T]{most: most, turn: make(chan struct{}, 1)} }

// waitMost is how long somebody who is served alone waits for the one before.
const waitMost = time.Second

// join returns when what was served: by alone, where nobody else waits, or with others by together, which notes the error of a member, and
// returns one when nothing has happened of any. Each is then served alone, so that what goes wrong does so where its caller sees it, and
// in their order, unless one takes longer than waitMost.
func (c *crowd[T]) join(ctx context.Context, what T, alone func(ctx context.Context) error, together func(members []*member[T]) error) error {
	m := &member[T]{ctx: ctx, what: what, done: make(chan struct{}), ended: make(chan struct{})}
	c.mu.Lock()
	c.waiting = append(c.waiting, m)
	c.mu.Unlock()
	for {
		select {
		case <-m.done:
			if m.undone {
				return c.afterOthers(m, alone)
			}
			return m.err
		case c.turn <- struct{}{}:
			if members := c.take(); len(members) == 1 && members[0] == m {
				defer func() { <-c.turn }()
				return alone(ctx)
			} else if len(members) == 0 || serve(members, together) {
				<-c.turn
			}
		}
	}
}

// take returns those who wait longest, who may be none, or others than who has the turn.
func (c *crowd[T]) take() []*member[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.waiting[:min(len(c.waiting), c.most)]
	c.waiting = c.waiting[len(first):]
	return first
}

// serve reports false when nothing has happened of any: the turn is theirs then, until the last one has ended.
func serve[T any](members []*member[T], together func(members []*member[T]) error) (served bool) {
	defer func() {
		_ = recover() // who panics does so again by itself
		for i, m := range members {
			if m.undone, m.last = !served, i == len(members)-1; i > 0 {
				m.before = members[i-1]
			}
		}
		for _, m := range members {
			close(m.done)
		}
	}()
	return together(members) == nil
}

func (c *crowd[T]) afterOthers(m *member[T], alone func(ctx context.Context) error) error {
	if m.before != nil {
		select {
		case <-m.before.ended:
		case <-time.After(waitMost):
		}
	}
	defer func() {
		close(m.ended)
		if m.last {
			<-c.turn
		}
	}()
	return alone(m.ctx)
}
