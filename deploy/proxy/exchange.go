package proxy

import (
	"context"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// exchange is one request on its way: it holds a count at exactly one target, or at none.
type exchange struct {
	table  *Table
	route  *route
	target *target
	end    *endpoint // of the target, to which the request went last
	tried  bool
	guest  guest
	failed error // why the upstream did not answer

	websocket bool        // is asked for
	unclose   func() bool // of a tunnel: the upstream has agreed to another protocol. nil of any other exchange

	patience *patience // with the target; nil means endless

	ctx    context.Context // done when the client is gone, the target is ended or the patience
	cancel context.CancelCauseFunc
	unbind func() bool
}

type exchangeKey struct{}

// exchangeOf is the exchange under whose context a request was sent on.
func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// begin counts a request in at the route's target, waiting for one if the route is held.
func (tb *Table) begin(ctx context.Context, r *route, g guest) (*exchange, error) {
	t, err := tb.await(ctx, r, g)
	if err != nil {
		return nil, err
	}
	x := &exchange{table: tb, route: r, guest: g}
	ctx, x.cancel = context.WithCancelCause(ctx)
	x.ctx = context.WithValue(ctx, exchangeKey{}, x)
	x.bind(t)
	return x, nil
}

// bound puts the bounds of the options on a body, which may be nil, and returns what the answer is to be written to.
func (x *exchange) bound(o *options, w http.ResponseWriter, body *upload) http.ResponseWriter {
	if o.Timeout > 0 {
		x.patience = newPatience(o.Timeout, func() { x.cancel(errSlow) })
		w = &answer{&caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, x.patience}
	}
	if body != nil {
		body.most, body.patience = o.MaxBody, x.patience
	}
	return w
}

// next returns where to send the request, or nil where nothing is deployed. Asked again, because that could not be dialed and so has
// seen nothing of the request, it follows the route, which may have moved meanwhile.
func (x *exchange) next() (*endpoint, error) {
	if x.tried && x.hasMoved() {
		x.finish()
		x.patience.pause()
		t, err := x.table.await(x.ctx, x.route, x.guest)
		x.patience.resume()
		if err != nil {
			return nil, err
		}
		x.bind(t)
	}
	x.tried = true
	x.leave()
	x.end = x.target.pick()
	return x.end, nil
}

// leave counts the request out at its address.
func (x *exchange) leave() {
	if x.end != nil {
		x.end.inflight.Add(-1)
		x.end = nil
	}
}

// hasMoved tells whether the route points elsewhere by now.
func (x *exchange) hasMoved() bool { return x.route.target.Load() != x.target }

func (x *exchange) bind(t *target) {
	x.target = t
	x.unbind = context.AfterFunc(t.ctx, func() { x.cancel(context.Cause(t.ctx)) })
}

// finish counts the request out where it is counted in. It may be repeated.
func (x *exchange) finish() {
	if x.target == nil {
		return
	}
	x.unbind()
	x.leave()
	x.target.release()
	x.target = nil
}

// close ends the exchange.
func (x *exchange) close() {
	x.patience.end()
	if x.unclose != nil {
		x.unclose()
	}
	x.finish()
	x.cancel(nil)
}
