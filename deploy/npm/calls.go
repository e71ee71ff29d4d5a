package npm

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

const hostsPath = "/api/nginx/proxy-hosts"

func hostPath(id int64) string { return hostsPath + "/" + strconv.FormatInt(id, 10) }

// find returns the proxy host that has the host among its names; nil when there is none, or none that our user may see.
func (c *client) find(ctx context.Context, host string) (*proxyHost, error) {
	var rows []proxyHost
	if err := c.call(ctx, http.MethodGet, hostsPath+"?query="+url.QueryEscape(host), nil, &rows); err != nil {
		return nil, err
	}
	if rows == nil { // not even an empty list
		return nil, c.strange()
	}
	for i := range rows { // the query looks for parts of names
		if rows[i].has(host) {
			return &rows[i], nil
		}
	}
	return nil, nil
}

func (c *client) get(ctx context.Context, id int64) (*proxyHost, error) {
	return c.row(ctx, http.MethodGet, hostPath(id), nil)
}

// row makes a call that is answered with a proxy host.
func (c *client) row(ctx context.Context, method, path string, body any) (*proxyHost, error) {
	var row proxyHost
	if err := c.call(ctx, method, path, body, &row); err != nil {
		return nil, err
	}
	if row.ID == 0 {
		return nil, c.strange()
	}
	return &row, nil
}

// create returns the new proxy host as asked for afterwards: the answer is from before nginx was configured.
func (c *client) create(ctx context.Context, body fields) (*proxyHost, error) {
	row, err := c.row(ctx, http.MethodPost, hostsPath, body)
	if err != nil {
		return nil, err
	}
	return c.get(ctx, row.ID)
}

// put changes the fields that it sends and no others.
func (c *client) put(ctx context.Context, id int64, body fields) (*proxyHost, error) {
	return c.row(ctx, http.MethodPut, hostPath(id), body)
}

func (c *client) remove(ctx context.Context, id int64) error {
	return c.call(ctx, http.MethodDelete, hostPath(id), nil, nil)
}

// health needs no account.
func (c *client) health(ctx context.Context) error {
	_, err := c.once(ctx, http.MethodGet, "/api/", "", nil)
	return err
}
