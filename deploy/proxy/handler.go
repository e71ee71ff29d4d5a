package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// handler finds the route of a request, counts the request in at the route's target for as long as it lasts, and answers itself
// where there is nothing to proxy to.
type handler struct {
	part
}

// CaddyModule implements caddy.Module.
func (h *handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.tinyforge",
		New: func() caddy.Module { return &handler{part: part{registry: h.registry}} },
	}
}

// Provision implements caddy.Provisioner.
func (h *handler) Provision(ctx caddy.Context) error {
	if err := h.part.Provision(ctx); err != nil {
		return err
	}
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return errors.New("provision: not inside a server")
	}
	server.RegisterConnState(h.proxy.work.connState)
	server.RegisterConnContext(withConn)
	return nil
}

// ServeHTTP implements caddyhttp.MiddlewareHandler. Nothing comes next.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	h.proxy.work.busy.enter()
	defer h.proxy.work.busy.leave()
	w, noted := h.proxy.access.begin(w, r)
	defer noted()

	rt := h.proxy.lookup(hostKey(r.Host))
	if rt == nil {
		return notFound.write(w)
	}
	if r.TLS == nil && h.proxy.secures(rt.host) {
		return h.proxy.secure(w, r, rt.host)
	}
	rt.requests.Add(1)
	rt.inflight.Add(1)
	defer rt.inflight.Add(-1)

	o := rt.options.Load()
	if o != nil && o.redirectTo != "" {
		return h.proxy.sendOn(w, r, o.redirectTo)
	}
	setForwarded(r)
	if o != nil {
		if err := h.admit(w, r, rt, o); err != nil {
			return h.fail(w, r, rt, err)
		}
	}
	return h.forward(w, r, rt, o)
}

// forward takes a request to the route's target.
func (h *handler) forward(w http.ResponseWriter, r *http.Request, rt *route, o *options) error {
	x, err := h.proxy.begin(r.Context(), rt, newGuest(r))
	if err != nil {
		return h.fail(w, r, rt, err)
	}
	defer x.close()
	if x.target.up.Addr == "" {
		return h.fail(w, r, rt, errEmpty)
	}
	out := r.WithContext(x.ctx)
	body := newUpload(out)
	if o != nil {
		w = x.bound(o, w, body)
	}
	if upgrades(out) {
		x.websocket = asksForWebsocket(out)
		w = &tunneled{&caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, x}
	}
	h.proxy.forwarder.ServeHTTP(w, out)
	if r.Context().Err() != nil && body.cut() {
		panic(http.ErrAbortHandler) // closes the connection, on which the rest of the body would be taken for a request
	}
	if x.failed != nil && x.unclose == nil {
		return h.fail(w, r, rt, errors.Join(context.Cause(x.ctx), x.failed))
	}
	return nil
}

// errEmpty is why a route without an upstream answers 503.
var errEmpty = errors.New("nothing is deployed")

// fail answers a request of which the upstream has sent no answer. It always returns nil: what went wrong is logged here,
// with nothing in it that the client has sent.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, rt *route, err error) error {
	if r.Context().Err() != nil || errors.Is(err, errLeft) {
		return nil // the client is gone
	}
	p := pageFor(err)
	if p.status >= http.StatusInternalServerError {
		rt.failed.Add(1)
		h.complain(r.Context(), rt, p.status, err)
	}
	return p.write(w)
}

// complain logs what an upstream did wrong.
func (h *handler) complain(ctx context.Context, rt *route, status int, err error) {
	if status == http.StatusServiceUnavailable || !rt.mayComplain(time.Now()) {
		return
	}
	h.proxy.log.LogAttrs(ctx, slog.LevelWarn, "upstream does not answer",
		slog.String("host", rt.host), slog.Int("status", status), slog.String("error", err.Error()))
}

// pageFor tells what a failed request is answered with.
func pageFor(err error) page {
	switch {
	case errors.Is(err, errDeleted), errors.Is(err, errNoPath):
		return notFound
	case errors.Is(err, errUnauthorized):
		return signIn
	case errors.Is(err, errTooLarge):
		return tooLarge
	case errors.Is(err, errEmpty):
		return nothingHere
	case errors.Is(err, errDrained), errors.Is(err, errCrowded), errors.Is(err, errNoRoom), errors.Is(err, errImpatient), errors.Is(err, errClosing):
		return tryAgain
	case errors.Is(err, errBusy):
		return busy
	case errors.Is(err, errSlow):
		return timedOut
	}
	return noAnswer
}
