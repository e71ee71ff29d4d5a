package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// goodbye is how long an end of a websocket is waited for, to take the frame that tells it of the end and to close.
const goodbye = 500 * time.Millisecond

// tunneled is the response to a request for another protocol.
type tunneled struct {
	*caddyhttp.ResponseWriterWrapper
	x *exchange
}

// Hijack implements http.Hijacker. It is called when the upstream has agreed, and what has no end of its own from then on ends when
// the proxy is closed.
func (t *tunneled) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	t.x.open()
	return &client{Conn: conn, early: buffered.Reader, end: &tunnelEnd{ReadWriteCloser: conn, x: t.x, lingers: true}}, buffered, nil
}

// client is the client's end of a tunnel.
type client struct {
	net.Conn
	early *bufio.Reader // what it has sent already
	begun sync.Once
	end   *tunnelEnd
}

// Read implements io.Reader. One goroutine may read. From its first call on, when the head of the answer is written, the client's end
// is closed with the exchange: whoever writes to a client that does not read would never come to that.
func (c *client) Read(b []byte) (int, error) {
	c.begun.Do(func() { context.AfterFunc(c.end.x.ctx, func() { _ = c.Close() }) })
	if c.early.Buffered() > 0 {
		return c.early.Read(b)
	}
	return c.end.Read(b)
}

// Write implements io.Writer.
func (c *client) Write(b []byte) (int, error) { return c.end.Write(b) }

// Close implements io.Closer.
func (c *client) Close() error { return c.end.Close() }

// CloseWrite tells the client that nothing follows.
func (c *client) CloseWrite() error { return c.end.CloseWrite() }

// tunnelEnd is one of the two ends of a tunnel. Where we end a websocket, Close tells it so first, unless it is in the middle of a frame or
// was told before. It is safe for concurrent use.
type tunnelEnd struct {
	io.ReadWriteCloser
	x       *exchange
	masks   bool // it gets frames as a server does
	lingers bool // it is read until it closes, since unread data would take the last frame away from it

	closing sync.Once
	gone    atomic.Bool // Close is called
	writing sync.Mutex
	frames  frames // written
}

// Read implements io.Reader. Nothing is read once Close is called: what has no end must not look as if it had one.
func (e *tunnelEnd) Read(b []byte) (int, error) {
	n, err := e.ReadWriteCloser.Read(b)
	if e.gone.Load() {
		return 0, net.ErrClosed
	}
	return n, err
}

// Write implements io.Writer.
func (e *tunnelEnd) Write(b []byte) (int, error) {
	e.writing.Lock()
	defer e.writing.Unlock()
	if e.gone.Load() {
		return 0, net.ErrClosed
	}
	n, err := e.ReadWriteCloser.Write(b)
	e.frames.follow(b[:n])
	return n, err
}

// CloseWrite tells the other side that nothing follows.
func (e *tunnelEnd) CloseWrite() error {
	if c, ok := e.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close implements io.Closer. It may be repeated, and returns when the end is closed.
func (e *tunnelEnd) Close() (err error) {
	e.closing.Do(func() {
		e.gone.Store(true)
		if e.x.endsWebsocket() {
			cut := time.AfterFunc(goodbye, func() { _ = e.ReadWriteCloser.Close() }) // also ends a Write that is under way
			e.say()
			cut.Stop()
		}
		err = e.ReadWriteCloser.Close()
	})
	return err
}

// say writes the last frame, where it is one.
func (e *tunnelEnd) say() {
	e.writing.Lock()
	defer e.writing.Unlock()
	if !e.frames.mayEnd() {
		return
	}
	if _, err := e.ReadWriteCloser.Write(goingAway(e.masks)); err == nil && e.lingers && e.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, e.ReadWriteCloser)
	}
}

// open is called when the exchange has become a tunnel: the answer has begun, and the exchange ends when the table is closed.
func (x *exchange) open() {
	x.patience.end()
	x.unclose = context.AfterFunc(x.table.closing, func() { x.cancel(errClosing) })
}

// endsWebsocket tells whether we have ended the exchange, which is a websocket.
func (x *exchange) endsWebsocket() bool {
	cause := context.Cause(x.ctx)
	return x.websocket && (errors.Is(cause, errDrained) || errors.Is(cause, errClosing))
}

// asksForWebsocket tells whether it is a websocket that an upgrade is to.
func asksForWebsocket(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}
