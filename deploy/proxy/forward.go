package proxy

import (
	"context"
	"errors"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/http/httpguts"
)

// newForwarder is what takes requests to the upstreams of their exchanges: the standard library's reverse proxy, which costs less
// than Caddy's.
func newForwarder() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:      rewrite,
		Transport:    &redialer{newTransports()},
		BufferPool:   newBuffers(),
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, err error) { exchangeOf(r.Context()).failed = err },
		ErrorLog:     log.New(io.Discard, "", 0), // what it says is of clients that go away
	}
}

// upgrades tells whether a request wants to go on in another protocol.
func upgrades(r *http.Request) bool {
	return len(r.Header["Upgrade"]) > 0 && httpguts.HeaderValuesContainsToken(r.Header["Connection"], "Upgrade")
}

// rewrite makes the request to the upstream: that of the client, and how it came here.
func rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme, r.Out.URL.Host = schemeHTTP, r.In.Host
	r.Out.URL.RawQuery = r.In.URL.RawQuery // as it is, readable or not
	h := r.Out.Header
	if h["Upgrade"] != nil {
		spellWebsocket(h)
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values := r.In.Header[name]; values != nil { // of a trusted proxy: all others are gone by now
			h[name] = values
		}
	}
	if ip, _, err := net.SplitHostPort(r.In.RemoteAddr); err == nil {
		ip, _, _ = strings.Cut(ip, "%")
		if before := h["X-Forwarded-For"]; before != nil {
			ip = strings.Join(before, ", ") + ", " + ip
		}
		h["X-Forwarded-For"] = []string{ip}
	}
	if h["X-Forwarded-Host"] == nil {
		h["X-Forwarded-Host"] = []string{r.In.Host}
	}
	if h["X-Forwarded-Proto"] == nil {
		scheme := schemeHTTP
		if r.In.TLS != nil {
			scheme = schemeHTTPS
		}
		h["X-Forwarded-Proto"] = []string{scheme}
	}
}

// spellWebsocket writes the names of a websocket's fields as RFC 6455 does: there are servers that know no others.
func spellWebsocket(h http.Header) {
	for _, name := range []string{"Extensions", "Key", "Protocol", "Version"} {
		if values := h["Sec-Websocket-"+name]; values != nil {
			delete(h, "Sec-Websocket-"+name)
			h["Sec-WebSocket-"+name] = values
		}
	}
}

// redialer sends a request to the upstream of its exchange. One that cannot be dialed is offered to the upstream's other addresses, and
// for a second again, or to its successor: nobody has seen anything of the request then.
type redialer struct{ transports *transports }

// RoundTrip implements http.RoundTripper.
func (t *redialer) RoundTrip(r *http.Request) (*http.Response, error) {
	x := exchangeOf(r.Context())
	transport := t.transports.of(r)
	if r.Body != nil {
		r.Body = unclosed{r.Body}
	}
	for begun, tried := time.Now(), 1; ; tried++ {
		end, err := x.next()
		switch {
		case err != nil:
			return nil, err
		case end == nil:
			return nil, errEmpty
		}
		r.URL.Host = end.addr
		response, err := transport.RoundTrip(hurried(r, x.target))
		failed, ok := errors.AsType[*net.OpError](err)
		undialed := ok && failed.Op == "dial"
		if !undialed {
			if errors.Is(err, syscall.ETIMEDOUT) { // its machine is gone
				x.target.rest(end)
			}
			return lasting(response, x), err
		}
		if another := x.target.rest(end); another && tried < len(x.target.ends) {
			continue
		}
		if time.Since(begun) >= redialFor && !x.hasMoved() { // to dial an address that is nobody's takes longer
			return nil, err
		}
		select {
		case <-time.After(redialEvery):
		case <-r.Context().Done():
			return nil, context.Cause(r.Context())
		}
	}
}

// hurried is a request that is dialed for no longer than is right where there are other addresses.
func hurried(r *http.Request, to *target) *http.Request {
	if len(to.ends) < 2 {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), severalKey{}, true))
}

// unclosed is a body that a transport closes in vain when it cannot dial: it is offered again, and who made it closes it.
type unclosed struct{ io.ReadCloser }

// Close implements io.Closer.
func (unclosed) Close() error { return nil }

// lasting makes an answer that never ends by itself one that we can end in order.
func lasting(response *http.Response, x *exchange) *http.Response {
	if response == nil {
		return nil
	}
	if tunnel, ok := response.Body.(io.ReadWriteCloser); ok {
		response.Body = &tunnelEnd{ReadWriteCloser: tunnel, x: x, masks: true}
		return response
	}
	if kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err == nil && kind == "text/event-stream" {
		response.Body = &events{response.Body, x.ctx}
	}
	return response
}

// events are those that a server sends. They end in order where the upstream is replaced: any other answer that is cut there has
// to look cut.
type events struct {
	io.ReadCloser
	ctx context.Context
}

// Read implements io.Reader.
func (e *events) Read(b []byte) (int, error) {
	n, err := e.ReadCloser.Read(b)
	if err != nil && errors.Is(context.Cause(e.ctx), errDrained) {
		err = io.EOF
	}
	return n, err
}

// buffers are what answers are copied through.
type buffers struct{ sync.Pool }

const bufferSize = 32 << 10

func newBuffers() *buffers {
	return &buffers{sync.Pool{New: func() any { return new([bufferSize]byte) }}}
}

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte { return b.Pool.Get().(*[bufferSize]byte)[:] }

// Put implements httputil.BufferPool.
func (b *buffers) Put(p []byte) { b.Pool.Put((*[bufferSize]byte)(p)) }
