package proxy

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// source tells Caddy's reverse_proxy the upstream of a request: the one at which handler has counted it in.
type source struct {
	ProxyID string `json:"proxy"`
}

// CaddyModule implements caddy.Module.
func (*source) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.upstreams.tinyforge",
		New: func() caddy.Module { return new(source) },
	}
}

// GetUpstreams implements reverseproxy.UpstreamSource. The upstream is a new value each time: Caddy writes into it.
func (*source) GetUpstreams(r *http.Request) ([]*reverseproxy.Upstream, error) {
	x, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, errors.New("get upstreams: the request did not pass the tinyforge handler")
	}
	up, err := x.upstream()
	if err != nil || up.Addr == "" {
		return nil, err
	}
	return []*reverseproxy.Upstream{{Dial: up.Addr}}, nil
}
