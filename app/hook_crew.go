package app

import (
	"context"
	"sync"

	"tinyforge/db"
)

// hookCrew are the goroutines that keep the webhooks of one forge each. Only wait is for another goroutine than Run's.
type hookCrew struct {
	group   sync.WaitGroup
	members map[int64]hookMember // by forge
}

type hookMember struct {
	wake    chan struct{} // holds a token when there may be something to do
	dismiss context.CancelFunc
}

func newHookCrew() *hookCrew { return &hookCrew{members: map[int64]hookMember{}} }

// assign begins to keep the forges that are new, wakes those who keep the others, and ends the keeping of forges that are
// gone.
func (c *hookCrew) assign(ctx context.Context, forges []db.Forge, keep func(context.Context, int64, <-chan struct{})) {
	gone := map[int64]hookMember{}
	for id, m := range c.members {
		gone[id] = m
	}
	for _, f := range forges {
		delete(gone, f.ID)
		m, known := c.members[f.ID]
		if !known {
			ctx, dismiss := context.WithCancel(ctx)
			c.members[f.ID] = hookMember{wake: make(chan struct{}, 1), dismiss: dismiss}
			wake := c.members[f.ID].wake
			c.group.Go(func() {
				defer dismiss()
				keep(ctx, f.ID, wake)
			})
			continue
		}
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
	for id, m := range gone {
		m.dismiss()
		delete(c.members, id)
	}
}

func (c *hookCrew) wait() { c.group.Wait() }
