package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

const (
	callLimit = 10 * time.Second
	patient   = 10 * time.Second // for which a proxy that answered before is waited for: it may be started anew
	callAgain = 50 * time.Millisecond
	replyMost = 64 << 20    // bytes: the figures of some hundred thousand hosts
	keptMost  = 8           // connections that are kept for the next calls
	keptFor   = askIdle / 2 // the proxy must not close one under a call
)

// Client is the route table of a proxy in another process. It is a deploy.Router, and safe for concurrent use. Every call
// may be repeated, and is, for some seconds, while the proxy is started anew. When nobody answers, or another version of Tinyforge, its
// error is a *deploy.Failure for an *AwayError.
type Client struct {
	socket string
	http   *http.Client
	limit  time.Duration // of a call, with the wait for a proxy that is started anew

	mu   sync.Mutex
	seen bool      // it has answered once
	gone time.Time // since when it does not; zero while it does
}

var (
	_ deploy.Router  = (*Client)(nil)
	_ deploy.Counter = (*Client)(nil)
	_ deploy.Lister  = (*Client)(nil)
)

// NewClient makes no call.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, limit: callLimit + patient,
		http: &http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: keptMost, IdleConnTimeout: keptFor}}}
}

// Check implements deploy.Router.
func (c *Client) Check(rt db.Route) error { return deploy.CheckRoute(rt) }

// Upsert implements deploy.Router.
func (c *Client) Upsert(ctx context.Context, rt db.Route, up deploy.Upstream) error {
	_, err := c.call(ctx, "upsert", ask{Route: rt, Upstream: up})
	return err
}

// Current implements deploy.Router.
func (c *Client) Current(ctx context.Context, rt db.Route) (deploy.Upstream, error) {
	r, err := c.call(ctx, "current", ask{Route: rt})
	return r.Upstream, err
}

// Targets implements deploy.Lister. A proxy of an older version cannot tell, nor one with more routes than fit into an answer.
func (c *Client) Targets(ctx context.Context) (map[string]deploy.Target, error) {
	r, err := c.call(ctx, "targets", ask{})
	if why, away := errors.AsType[*AwayError](err); away && why.Other {
		return nil, fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return r.Targets, err
}

// Hold implements deploy.Router.
func (c *Client) Hold(ctx context.Context, rt db.Route) error {
	_, err := c.call(ctx, "hold", ask{Route: rt})
	return err
}

// Delete implements deploy.Router.
func (c *Client) Delete(ctx context.Context, rt db.Route) error {
	_, err := c.call(ctx, "delete", ask{Route: rt})
	return err
}

// Drain implements deploy.Router. A proxy that was started anew meanwhile has nothing in flight. Of a process that is killed
// the proxy leaves what is in flight as it is.
func (c *Client) Drain(ctx context.Context, rt db.Route, old deploy.Upstream) error {
	const forever = 24 * time.Hour
	_, err := c.patiently(ctx, "drain", ask{Route: rt, Upstream: old, Within: forever})
	if ctx.Err() == nil {
		return err
	}
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("drain %s of %q: %w", old.Name, rt.Host, ctx.Err())
	}
	now, cancel := context.WithTimeout(context.WithoutCancel(ctx), callLimit)
	defer cancel()
	_, err = c.once(now, "drain", ask{Route: rt, Upstream: old}) // ends what is left
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("drain %s of %q: %w", old.Name, rt.Host, ctx.Err())
	}
	return fmt.Errorf("drain %s of %q: %w: %w", old.Name, rt.Host, ctx.Err(), err)
}

// Reserve is Table.Reserve.
func (c *Client) Reserve(host string, up deploy.Upstream) error {
	_, err := c.call(context.Background(), "reserve", ask{Route: db.Route{Host: host}, Upstream: up})
	return err
}

// Release is Table.Release.
func (c *Client) Release(host string) error {
	_, err := c.call(context.Background(), "release", ask{Route: db.Route{Host: host}})
	return err
}

// Reserved is Table.Reserved.
func (c *Client) Reserved() ([]string, error) {
	r, err := c.call(context.Background(), "reserved", ask{})
	return r.Hosts, err
}

// Counts implements deploy.Counter. While the proxy is away there are none.
func (c *Client) Counts(rt db.Route) (all, failed int64, ok bool) {
	r, err := c.atOnce("counts", ask{Route: rt})
	return r.All, r.Failed, r.Known && err == nil
}

// Stats is Table.Stats. While the proxy is away there are none.
func (c *Client) Stats() []Stats {
	r, _ := c.atOnce("stats", ask{})
	return r.Stats
}

// State tells which process answers, without waiting for one.
func (c *Client) State(ctx context.Context) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	r, err := c.once(ctx, "state", ask{})
	return r.State, err
}

func (c *Client) atOnce(name string, q ask) (reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	return c.once(ctx, name, q)
}

// call takes a proxy that is there and says nothing for one that is away.
func (c *Client) call(ctx context.Context, name string, q ask) (reply, error) {
	limited, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	r, err := c.patiently(limited, name, q)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		err = c.silent(fmt.Errorf("ask the proxy on %s: %w", c.socket, limited.Err()))
	}
	return r, err
}

// patiently repeats a call while the proxy is away, unless it has been for long. That it waits is told as deploy.Waits does.
func (c *Client) patiently(ctx context.Context, name string, q ask) (reply, error) {
	for {
		r, err := c.once(ctx, name, q)
		if why, away := errors.AsType[*AwayError](err); !away || why.Other || !c.mayReturn() {
			return r, err
		}
		deploy.Waits(ctx, "the proxy at "+c.socket)
		select {
		case <-ctx.Done():
			return r, err
		case <-time.After(callAgain):
		}
	}
}

func (c *Client) once(ctx context.Context, name string, q ask) (r reply, err error) {
	body, err := json.Marshal(q)
	if err != nil {
		return r, err
	}
	if len(body) > askMost { // the proxy would not take it, whatever its version
		return r, fmt.Errorf("%s on %s: %d bytes are too many", name, c.socket, len(body))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://proxy/"+name, bytes.NewReader(body))
	if err != nil {
		return r, err
	}
	request.Header["Idempotency-Key"] = nil // is not sent: it lets a call be repeated whose kept connection the proxy had closed
	response, err := c.http.Do(request)
	if err != nil {
		return r, c.away(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, replyMost))
	if err != nil {
		return r, c.away(ctx, err)
	}
	c.answered()
	if response.StatusCode != http.StatusOK {
		return r, c.stranger(fmt.Errorf("answered %d", response.StatusCode), name)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return reply{}, c.stranger(err, name)
	}
	return r, r.Fault.err()
}

// stranger is the error of a call that the proxy does not know. It is away until somebody starts one that does, which is not waited for.
func (c *Client) stranger(err error, name string) error {
	const text = "The proxy is another version of Tinyforge: start it anew"
	return &deploy.Failure{Text: text, Err: &AwayError{Other: true, Err: fmt.Errorf("%s on %s: %s: %w", name, c.socket, text, err)}}
}

// away is the error of a call that was not answered.
func (c *Client) away(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("ask the proxy on %s: %w", c.socket, ctx.Err())
	}
	if inner := errors.Unwrap(err); inner != nil { // without the URL, which says nothing
		err = inner
	}
	return c.silent(err)
}

func (c *Client) silent(err error) error {
	return &deploy.Failure{Text: "The proxy does not answer: does tinyforge proxy run, and with the same --proxy-socket?",
		Fault: deploy.FaultOf("proxy_silent", "socket", c.socket), Err: &AwayError{Err: err}}
}

func (c *Client) answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen, c.gone = true, time.Time{}
}

// mayReturn tells whether the proxy, which does not answer, did so not long ago.
func (c *Client) mayReturn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone.IsZero() {
		c.gone = time.Now()
	}
	return c.seen && time.Since(c.gone) < patient
}
