package deploytest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Get asks for a path of a host and returns what a visitor gets; status 0 with the error as body when no answer came.
func (r *Router) Get(host, path string) (status int, body string) {
	req, err := http.NewRequest(http.MethodGet, "http://"+host+path, nil)
	if err != nil {
		return 0, err.Error()
	}
	res, err := r.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(text)
}

// Do sends a visitor's request to the host of its URL. The answer is whole: its body is in memory.
func (r *Router) Do(req *http.Request) (*http.Response, error) {
	ctx, end := context.WithCancel(req.Context())
	defer end()
	out, answer := r.admit(req.Clone(ctx))
	if answer != nil {
		return answer, nil
	}
	f := &flight{host: hostOf(req), end: end}
	_ = r.await(ctx, func() bool { route := r.routes[f.host]; return route == nil || !route.held })
	up, status := r.depart(f)
	if status != 0 {
		return answerWith(status), nil
	}
	defer r.change(func() { delete(r.flights, f) })
	out.Host, out.URL.Scheme, out.URL.Host = req.URL.Host, "http", up.Addrs()[0]
	res, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	res.Body = io.NopCloser(bytes.NewReader(text))
	return res, err
}

func hostOf(req *http.Request) string {
	return strings.ToLower(strings.TrimSuffix(req.URL.Host, "."))
}

// depart counts f in at the route's upstream, or returns the status with which the router itself answers.
func (r *Router) depart(f *flight) (up deploy.Upstream, status int) {
	r.change(func() {
		route := r.routes[f.host]
		switch {
		case route == nil:
			status = http.StatusNotFound
		case route.up == deploy.Upstream{}:
			status = http.StatusServiceUnavailable
		default:
			up = route.up
			f.name = up.Name
			r.flights[f] = true
		}
	})
	return up, status
}

// admit makes a request ready for the upstream, or answers it as the options of its route want.
func (r *Router) admit(req *http.Request) (*http.Request, *http.Response) {
	rt := r.routeOf(hostOf(req))
	name, password, _ := req.BasicAuth()
	prefix, rest, below := deploy.Below(rt.Paths, req.URL.EscapedPath())
	switch {
	case rt.RedirectTo != "":
		answer := answerWith(http.StatusMovedPermanently)
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			answer = answerWith(http.StatusPermanentRedirect)
		}
		answer.Header.Set("Location", "http://"+rt.RedirectTo+req.URL.RequestURI())
		return nil, answer
	case len(rt.BasicAuth) > 0 && !slices.ContainsFunc(rt.BasicAuth, isUser(name, password)):
		answer := answerWith(http.StatusUnauthorized)
		answer.Header.Set("WWW-Authenticate", "Basic realm="+strconv.Quote(rt.Host))
		return nil, answer
	case len(rt.Paths) > 0 && !below:
		return nil, answerWith(http.StatusNotFound)
	}
	if len(rt.BasicAuth) > 0 {
		req.Header.Del("Authorization")
	}
	if rt.StripPrefix {
		req.Header.Set("X-Forwarded-Prefix", prefix)
		req.URL.RawPath = "/" + strings.TrimLeft(rest, "/")
		req.URL.Path, _ = url.PathUnescape(req.URL.RawPath)
	}
	return limitBody(req, rt.MaxBody)
}

func (r *Router) routeOf(host string) db.Route {
	r.mu.Lock()
	defer r.mu.Unlock()
	if route := r.routes[host]; route != nil {
		return route.Route
	}
	return db.Route{}
}

func isUser(name, password string) func(db.BasicAuth) bool {
	return func(u db.BasicAuth) bool {
		return u.Username == name && bcrypt.CompareHashAndPassword([]byte(u.Hash), []byte(password)) == nil
	}
}

// limitBody reads the whole body first: what is too large never reaches the upstream.
func limitBody(req *http.Request, most int64) (*http.Request, *http.Response) {
	if most == 0 || req.Body == nil {
		return req, nil
	}
	text, err := io.ReadAll(io.LimitReader(req.Body, most+1))
	if err != nil || int64(len(text)) > most {
		return nil, answerWith(http.StatusRequestEntityTooLarge)
	}
	req.Body = io.NopCloser(bytes.NewReader(text))
	return req, nil
}

func answerWith(status int) *http.Response {
	return &http.Response{
		Status: fmt.Sprint(status, " ", http.StatusText(status)), StatusCode: status, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(http.StatusText(status))),
	}
}
