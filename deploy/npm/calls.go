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
	for i := range rows { // the query looks for parts of names
		if rows[i].has(host) {
			return &rows[i], nil
		}
	}
	return nil, nil
}

func (c *client) get(ctx context.Context, id int64) (*proxyHost, error) {
	var row proxyHost
	return &row, c.call(ctx, http.MethodGet, hostPath(id), nil, &row)
}

// create returns the new proxy host as asked for afterwards: the answer is from before nginx was configured.
func (c *client) create(ctx context.Context, body fields) (*proxyHost, error) {
	var row proxyHost
	if err := c.call(ctx, http.MethodPost, hostsPath, body, &row); err != nil {
		return nil, err
	}
	return c.get(ctx, row.ID)
}

// put changes the fields that it sends and no others.
func (c *client) put(ctx context.Context, id int64, body fields) (*proxyHost, error) {
	var row proxyHost
	return &row, c.call(ctx, http.MethodPut, hostPath(id), body, &row)
}

func (c *client) remove(ctx context.Context, id int64) error {
	return c.call(ctx, http.MethodDelete, hostPath(id), nil, nil)
}

// health needs no account.
func (c *client) health(ctx context.Context) error {
	_, err := c.once(ctx, http.MethodGet, "/api/", "", nil)
	return err
}
