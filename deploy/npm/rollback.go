package npm

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tinyforge/deploy"
)

// rollBackMost bounds the way back, which is gone even when nobody waits for it any more.
const rollBackMost = time.Minute

// origin is what nginx forwarded to before the change; where it does not say, what Nginx Proxy Manager knew of it.
func (c *change) origin() target {
	switch {
	case c.before.known:
		return c.before.target
	case c.fresh:
		return nobody
	}
	return c.row.target()
}

// rollBack points the proxy host back at what it pointed to, gives it back what was taken over with it, and returns what
// the user has to know of why.
func (c *change) rollBack(ctx context.Context, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollBackMost)
	defer cancel()
	was, remembered := c.memory.recall(c.host)
	c.memory.forget(c.host)
	if errors.Is(why, errUnconnected) {
		why = c.unreached(c.to)
	}
	back := c.origin()
	undo := back.fields()
	if len(c.claims) > 0 {
		undo = undo.with(fields{"meta": c.row.metaWith(c.row.mark()), "advanced_config": c.row.Advanced})
	}
	err := c.write(ctx, undo)
	switch {
	case statusOf(err) >= http.StatusInternalServerError && c.before.known && len(c.claims) == 0:
		if _, lost := c.probes.settle(ctx, c.place, back, false, standsMost); lost == nil {
			err = nil // nginx never left
		}
	case err != nil:
	case len(c.claims) > 0:
		c.vanish(ctx, c.place)
	case c.before.known:
		_, err = c.probes.settle(ctx, c.place, back, false, c.cfg.Settle)
	}
	if err == nil && remembered && was.target == back {
		c.memory.believe(c.host, was, c.to.Host)
	}
	text := c.userText(why)
	if err != nil {
		c.log.WarnContext(ctx, "point a proxy host back", "host", c.host, "to", back.said(), "error", err)
		text += "; pointing it back did not work either, see Nginx Proxy Manager"
	}
	return &deploy.Failure{Text: text, Err: errors.Join(cause(why), err)}
}

// cause is what a failure's text does not say.
func cause(err error) error {
	var known *deploy.Failure
	if errors.As(err, &known) {
		return known.Err
	}
	return err
}

// userText is what a user may read of an error: nginx's words about its configuration are the user's own, our secret is
// not in them.
func (c *change) userText(err error) string {
	var known *deploy.Failure
	var refused *refusal
	var off *offline
	switch {
	case errors.As(err, &known):
		return known.Text
	case errors.As(err, &off):
		return c.hide(off.Error())
	case errors.As(err, &refused):
		text := c.hide(refused.Error())
		if refused.status >= http.StatusInternalServerError {
			text += ": its nginx is down, or its configuration is broken by another host"
		}
		return text
	}
	return "internal error, see the log of Tinyforge"
}

// hide keeps the probes' secrets out of a text.
func (c *change) hide(text string) string {
	question, answer := secretsOf(c.cfg.Key, c.workload)
	return strings.NewReplacer(question, "[secret]", answer, "[secret]").Replace(text)
}

// unserved is the failure of a change that was taken and that nginx does not show.
func (c *change) unserved(last sight) error {
	text := "Nginx Proxy Manager took the change, but " + c.probes.proxy
	switch {
	case last.target == c.to:
		text += " answers too slowly to be sure of it"
	case last.known:
		text += " still goes to " + last.target.address() + "; restart Nginx Proxy Manager if that stays so"
	case last.status == 0:
		text += " does not answer: is --npm-proxy the address of the HTTP that it serves?"
	default:
		text += " answers " + strconv.Itoa(last.status) + " without it: is --npm-proxy the address of the HTTP that it serves?"
	}
	return &deploy.Failure{Text: text}
}
