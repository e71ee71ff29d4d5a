package db

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/uptrace/bun"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// groupMost is how many transactions share a commit.
const groupMost = 64

// group lets transactions that wait for each other share one commit, which on SQLite is most of what a small one costs. Each is a
// savepoint within the transaction of whoever's turn it is: one that fails undoes nothing of the others. It is safe for concurrent
// use. A transaction must not run another.
type group struct {
	turn chan struct{} // full while somebody commits

	mu      sync.Mutex
	waiting []*member
}

// member is one of the transactions.
type member struct {
	ctx    context.Context
	f      func(ctx context.Context, tx bun.Tx) error
	done   chan struct{}
	err    error
	undone bool // nothing of it has happened, for a reason that may be another's
}

func newGroup() *group { return &group{turn: make(chan struct{}, 1)} }

// run returns when f is committed, or with its error when it is undone. f may be called twice.
func (g *group) run(ctx context.Context, b *bun.DB, f func(ctx context.Context, tx bun.Tx) error) error {
	m := &member{ctx: ctx, f: f, done: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, m)
	g.mu.Unlock()
	for {
		select {
		case <-m.done:
			if m.undone {
				return b.RunInTx(ctx, nil, f)
			}
			return m.err
		case g.turn <- struct{}{}:
			members := g.take()
			if len(members) == 1 && members[0] == m {
				defer func() { <-g.turn }()
				return b.RunInTx(ctx, nil, f)
			}
			if len(members) > 0 {
				commit(b, members)
			}
			<-g.turn
		}
	}
}

// take returns those who wait longest, who may be none, or others than who has the turn.
func (g *group) take() []*member {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := g.waiting[:min(len(g.waiting), groupMost)]
	g.waiting = g.waiting[len(first):]
	return first
}

// commit runs the transactions in one and tells each how it ended.
func commit(b *bun.DB, members []*member) {
	err := together(b, members)
	for _, m := range members {
		m.undone = err != nil
		close(m.done)
	}
}

// together heeds nobody's context once it has begun: SQLite, interrupted, undoes the whole of a transaction.
func together(b *bun.DB, members []*member) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil { // it does so again by itself, where its caller sees it
			err = fmt.Errorf("a transaction panicked: %v", panicked)
		}
	}()
	return b.RunInTx(context.Background(), nil, func(ctx context.Context, tx bun.Tx) error {
		for _, m := range members {
			if m.err = m.ctx.Err(); m.err != nil {
				continue
			}
			if m.err = tx.RunInTx(ctx, nil, m.f); broke(m.err) {
				return m.err
			}
		}
		return nil
	})
}

// broke tells whether SQLite may have undone the whole transaction: after any error of its own but the refusal of a row.
func broke(err error) bool {
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code()&0xff != sqlite3.SQLITE_CONSTRAINT
}
