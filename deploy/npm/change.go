package npm

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"tinyforge/deploy"
)

// change is one Upsert, by the one who may write. It ends in what was asked for, or in what was before.
type change struct {
	*Router
	place
	up      deploy.Upstream
	to      target
	connect bool // nginx has to reach it

	row    *proxyHost // as it was found; nil before it is made
	fresh  bool       // we have made it
	claims fields     // what makes it ours
	before sight      // what nginx did
}

func (c *change) run(ctx context.Context) (err error) {
	if c.row, err = c.find(ctx, c.host); err != nil {
		return err
	}
	if c.row == nil {
		return c.create(ctx)
	}
	if done, err := c.prepare(); done || err != nil {
		return err
	}
	if len(c.claims) == 0 { // else a stranger would get the question
		c.before = c.probes.look(ctx, c.place)
	}
	if len(c.claims) == 0 && c.stands() {
		c.to = c.row.target()
		if _, err := c.probes.settle(ctx, c.place, c.to, c.connect, standsMost); err == nil {
			c.believe(nil)
			return nil
		}
	}
	return c.repoint(ctx)
}

// standsMost bounds the probes of what should be so already.
const standsMost = 2 * time.Second

// prepare finds out what the proxy host that was found needs. done says that there is nothing to do.
func (c *change) prepare() (done bool, err error) {
	if c.to.isNobody() {
		m := c.row.mark()
		if m == nil || m.Instance != c.cfg.Instance {
			return true, nil // nothing leads to us, and what it does serve goes on
		}
		if m.Adopted != nil && strings.EqualFold(c.row.target().said(), m.Adopted.First) {
			c.to = m.Adopted.Target
		}
	}
	if c.claims, err = c.claim(c.row); err != nil {
		return false, err
	}
	if !c.row.Enabled {
		if !c.to.isNobody() && !c.row.target().same(c.to) {
			return false, errDisabled
		}
		c.log.Warn("a proxy host is disabled in Nginx Proxy Manager", "host", c.host)
		return true, nil
	}
	return false, nil
}

// stands tells whether the proxy host is what it should be, as far as Nginx Proxy Manager knows. The same release at another
// address does not: nginx goes on to the old one until a change makes it ask again.
func (c *change) stands() bool {
	_, online := c.row.complaint()
	b, known := c.memory.recall(c.host)
	moved := known && b.up.Name == c.up.Name && b.up != c.up
	return online && c.row.target().same(c.to) && !moved
}

// repoint changes the three fields of where it forwards to, and what makes it ours where that is missing.
func (c *change) repoint(ctx context.Context) error {
	if c.before.known {
		c.to = c.to.respelled(c.before.target)
	}
	err := c.write(ctx, c.to.fields().with(c.claims))
	if err == nil {
		err = c.settle(ctx)
	}
	switch {
	case err == nil:
		c.believe(nil)
		return nil
	case c.stayed(ctx, err):
		return nil
	case ctx.Err() != nil: // whoever ended it decides where the route goes
		return context.Cause(ctx)
	case len(c.claims) == 0 && c.origin().same(c.to):
		if errors.Is(err, errUnconnected) {
			c.believe(err)
			return c.unreached(c.to)
		}
		return err
	}
	return c.rollBack(ctx, err)
}

// write sends a change until Nginx Proxy Manager says that nginx has it. Sending it again is harmless, and mends what
// another write at the same moment broke.
func (c *change) write(ctx context.Context, body fields) error {
	return tries(ctx, func() error {
		row, err := c.api.put(ctx, c.row.ID, body)
		if err != nil {
			return err
		}
		return row.took()
	})
}

// settle waits until nginx serves the change, and says what is wrong when it does not.
func (c *change) settle(ctx context.Context) error {
	last, err := c.probes.settle(ctx, c.place, c.to, c.connect, c.cfg.Settle)
	if errors.Is(err, errElsewhere) {
		return c.unserved(last)
	}
	return err
}

// stayed is for a change that Nginx Proxy Manager stored and could not give to nginx, which had it all the time: a change
// back to what serves. It tells whether that is so.
func (c *change) stayed(ctx context.Context, err error) bool {
	if len(c.claims) > 0 || statusOf(err) < http.StatusInternalServerError || !c.before.known || !c.before.target.same(c.to) {
		return false
	}
	row, findErr := c.find(ctx, c.host)
	if findErr != nil || row == nil || !row.target().same(c.to) {
		return false
	}
	c.to = c.before.target
	if _, err := c.probes.settle(ctx, c.place, c.to, c.connect, standsMost); err != nil {
		return false
	}
	c.log.WarnContext(ctx, "nginx goes where it should, but Nginx Proxy Manager cannot change its configuration", "host", c.host, "error", err)
	c.believe(nil)
	return true
}

// believe notes what nginx was seen to do.
func (c *change) believe(unconnected error) {
	var before string
	if c.before.known {
		before = c.upstream(c.host, c.before.target).Name
	}
	c.memory.believe(c.host, belief{up: c.up, target: c.to, at: time.Now(), unconnected: unconnected != nil}, before)
}
