package npm

import (
	"context"
	"net/http"

	"tinyforge/deploy"
)

// create makes a proxy host, or takes the one that is there after all: a creation that was answered 500 may be stored.
func (c *change) create(ctx context.Context) error {
	own := mark{Instance: c.cfg.Instance, Workload: c.workload, Host: c.host}
	body := c.to.fields().with(fields{
		"domain_names":            []string{c.host},
		"allow_websocket_upgrade": true,
		"advanced_config":         c.withSnippet(""),
		"meta":                    map[string]any{markKey: own},
	})
	if err := c.insert(ctx, body); err != nil {
		return err
	}
	err := c.row.took()
	if err != nil || len(c.claims) > 0 {
		err = c.write(ctx, c.to.fields().with(c.claims))
	}
	if err == nil {
		err = c.settle(ctx)
	}
	switch {
	case err == nil:
		c.believe(nil)
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case c.to.isNobody():
		return &deploy.Failure{Text: c.userText(err), Err: cause(err)}
	}
	return c.rollBack(ctx, err)
}

// insert is the creation itself. It leaves the row as Nginx Proxy Manager has it.
func (c *change) insert(ctx context.Context, body fields) error {
	err := tries(ctx, func() error {
		row, err := c.api.create(ctx, body)
		if err == nil {
			c.row, c.fresh = row, true
			return nil
		}
		if status := statusOf(err); status >= 400 && status < 500 && !inUse(err) {
			return err
		}
		return c.stored(ctx, err)
	})
	if statusOf(err) >= http.StatusInternalServerError {
		err = &deploy.Failure{Text: c.userText(err) + ", or " + c.cfg.Identity + " may not manage proxy hosts there", Err: err}
	}
	return err
}

// stored takes the row of a creation that was answered with an error; that error, when there is none.
func (c *change) stored(ctx context.Context, failed error) error {
	row, err := c.find(ctx, c.host)
	switch {
	case err != nil:
		return err
	case row == nil && inUse(failed):
		return &deploy.Failure{Text: "Nginx Proxy Manager says that " + c.host + " is taken, by a host that " + c.cfg.Identity +
			" does not see or that is no proxy host (a redirection, a 404 host); free the name there", Err: failed}
	case row == nil:
		return failed
	}
	if c.claims, err = c.claim(row); err != nil { // somebody else was faster
		return err
	}
	c.row, c.fresh = row, len(c.claims) == 0
	if c.fresh {
		row.Meta = nil // what it says of nginx is from before
	}
	return nil
}
