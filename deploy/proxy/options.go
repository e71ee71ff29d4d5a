package proxy

import (
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"tinyforge/db"
	"tinyforge/deploy"
)

// options are how a route is served, beside its target. They are never changed but replaced whole: a request goes by the
// set that it has read first, to its end.
type options struct {
	redirectTo string // a host key
	db.RouteOptions

	signingIn atomic.Int64  // requests that wait for a comparison of their password
	turn      chan struct{} // has a value while one of them is the next of the route, or compared
}

var (
	errNoPath   = errors.New("no path of this route")
	errTooLarge = errors.New("the request's body is larger than the route takes")
)

// newOptions returns nil for a route that has none. A redirect has no others.
func newOptions(rt db.Route) *options {
	if rt.RedirectTo != "" {
		return &options{redirectTo: hostKey(rt.RedirectTo)}
	}
	o := &options{RouteOptions: rt.RouteOptions, turn: make(chan struct{}, 1)}
	o.Paths, o.BasicAuth = slices.Clone(o.Paths), slices.Clone(o.BasicAuth)
	if len(o.Paths) == 0 && len(o.BasicAuth) == 0 && o.MaxBody == 0 && o.Timeout == 0 {
		return nil
	}
	return o
}

func (o *options) equal(other *options) bool {
	if o == nil || other == nil {
		return o == other
	}
	return o.redirectTo == other.redirectTo && reflect.DeepEqual(o.RouteOptions, other.RouteOptions)
}

// admit lets a request pass, made ready for the upstream, or returns why not. It comes before the request is counted in
// at a target: what is refused neither waits on a held route nor is in flight to anybody.
func (h *handler) admit(w http.ResponseWriter, r *http.Request, rt *route, o *options) error {
	if len(o.BasicAuth) > 0 {
		err := h.proxy.passwords.signIn(r, o)
		if errors.Is(err, errUnauthorized) {
			w.Header().Set("WWW-Authenticate", "Basic realm="+strconv.Quote(rt.host)+`, charset="UTF-8"`)
		}
		if err != nil {
			return err
		}
		r.Header.Del("Authorization") // it was meant for us, and is nobody else's to read
	}
	if len(o.Paths) > 0 {
		prefix, rest, ok := deploy.Below(o.Paths, r.URL.EscapedPath())
		if !ok {
			return errNoPath
		}
		if o.StripPrefix {
			strip(r, prefix, rest)
		}
	}
	if o.MaxBody > 0 && r.ContentLength > o.MaxBody {
		return errTooLarge
	}
	return nil
}

// strip takes the prefix off the path and tells the upstream so. No more than one slash is left in front: two would make
// the beginning of the path a host, where an upstream redirects to it.
func strip(r *http.Request, prefix, rest string) {
	u := *r.URL
	u.RawPath = "/" + strings.TrimLeft(rest, "/")
	u.Path, _ = url.PathUnescape(u.RawPath) // the server has read it before
	r.URL = &u
	trusted := r.Header.Get(prefixField) // what an untrusted client said is gone already
	r.Header.Set(prefixField, strings.TrimRight(trusted, "/")+(&url.URL{Path: prefix}).EscapedPath())
}

const prefixField = "X-Forwarded-Prefix"
