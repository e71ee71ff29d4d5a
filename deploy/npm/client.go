package npm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"tinyforge/deploy"
)

const (
	callMost   = 40 * time.Second // with a hundred hosts a change takes two
	answerMost = 8 << 20
	refusedFor = 30 * time.Second
	tokenLeft  = 5 * time.Minute // with less left to live, a token is not used any more
)

// client speaks to the API of one Nginx Proxy Manager. Its errors hold neither password nor token, and of what Nginx Proxy
// Manager says one cleaned line. Safe for concurrent use.
type client struct {
	url, identity, password string
	http                    *http.Client

	mu      sync.Mutex // held while logging in: a login costs half a second there
	token   string
	expires time.Time
	refused error // of the last login
	until   time.Time
}

func newClient(url, identity, password string) *client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	return &client{
		url: strings.TrimRight(url, "/"), identity: identity, password: password,
		http: &http.Client{
			Transport:     transport,
			Timeout:       callMost,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// call makes one call, with a login before it where none is known to be good, and once more where the answer may mean that
// it was not. It returns a refusal, or a deploy.Failure that says what to do. Nothing is repeated that had an effect.
func (c *client) call(ctx context.Context, method, path string, body, out any) error {
	token, err := c.login(ctx, "")
	if err != nil {
		return err
	}
	answer, err := c.once(ctx, method, path, token, body)
	var r *refusal
	if errors.As(err, &r) && r.staleToken(method) {
		if token, err = c.login(ctx, token); err != nil {
			return err
		}
		answer, err = c.once(ctx, method, path, token, body)
	}
	if err != nil || out == nil {
		return err
	}
	if json.Unmarshal(answer, out) != nil {
		return c.strange()
	}
	return nil
}

// login returns a token, another one than stale.
func (c *client) login(ctx context.Context, stale string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.token != "" && c.token != stale && now.Before(c.expires) {
		return c.token, nil
	}
	if c.refused != nil && now.Before(c.until) {
		return "", c.refused
	}
	c.token = ""
	answer, err := c.once(ctx, http.MethodPost, "/api/tokens", "", fields{"identity": c.identity, "secret": c.password})
	if status := statusOf(err); status >= 400 && status < 500 {
		err = &deploy.Failure{Text: "Nginx Proxy Manager refuses the login of " + c.identity + ": correct --npm-identity and TINYFORGE_NPM_PASSWORD", Err: err}
	}
	if err == nil {
		err = c.keep(answer, now)
	}
	if c.refused = nil; errors.As(err, new(*deploy.Failure)) && ctx.Err() == nil {
		c.refused, c.until = err, now.Add(refusedFor)
	}
	return c.token, err
}

// keep takes the token from the answer to a login.
func (c *client) keep(answer []byte, now time.Time) error {
	var said struct {
		Token   string `json:"token"`
		Expires string `json:"expires"`
	}
	if json.Unmarshal(answer, &said) != nil {
		return c.strange()
	}
	if said.Token == "" {
		return &deploy.Failure{Text: "Nginx Proxy Manager wants a second factor from " + c.identity +
			": make a user without two-factor login for Tinyforge there, and name it with --npm-identity"}
	}
	c.token, c.expires = said.Token, now.Add(time.Hour)
	if t, err := time.Parse(time.RFC3339, said.Expires); err == nil {
		c.expires = t.Add(-tokenLeft)
	}
	if c.expires.Before(now) { // its clock is not ours: what it answers will tell
		c.expires = now.Add(time.Hour)
	}
	return nil
}

// once sends one request and returns the body of a success.
func (c *client) once(ctx context.Context, method, path, token string, body any) ([]byte, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, content)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.silent(ctx, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, answerMost+1))
	switch {
	case err != nil:
		return nil, c.silent(ctx, err)
	case len(answer) > answerMost || res.StatusCode >= 300 && res.StatusCode < 400:
		return nil, c.strange()
	case res.StatusCode >= 400:
		return nil, newRefusal(res.StatusCode, answer)
	}
	return answer, nil
}

// silent is the error of a call that was not answered. The call may have had its effect.
func (c *client) silent(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("call Nginx Proxy Manager: %w", context.Cause(ctx))
	}
	return &deploy.Failure{Text: "Nginx Proxy Manager does not answer at " + c.url + ": does it run, and is --npm-url right?", Err: fmt.Errorf("%w: %w", errSilent, err)}
}

// strange is the error of an answer that Nginx Proxy Manager does not give.
func (c *client) strange() error {
	return &deploy.Failure{Text: "What answers at " + c.url + " is not the API of Nginx Proxy Manager: is --npm-url the address of its administration, such as http://127.0.0.1:81?"}
}
