package proxy

import (
	"context"
	"net"
	"net/http"
	"time"
)

// lookEvery is how often it is looked whether the client of a waiting upload is still there.
const lookEvery = time.Second

// guest is a request as far as it matters while it waits on a held route.
type guest struct {
	size int64       // bytes that it holds at most
	left func() bool // whether its client went away without its context being done; nil where that cannot be
}

type connKey struct{}

// withConn puts a connection into the context of its requests.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

func newGuest(r *http.Request) guest {
	g := guest{size: sizeOf(r)}
	if c, ok := r.Context().Value(connKey{}).(net.Conn); ok && r.ProtoMajor < 2 && r.Body != nil && r.Body != http.NoBody {
		g.left = func() bool { return hungUp(c) } // net/http notices it only once the body is read
	}
	return g
}

// looks ticks when it is to be looked whether the client is there; it is nil where that is not needed.
func (g guest) looks() (tick <-chan time.Time, stop func()) {
	if g.left == nil {
		return nil, func() {}
	}
	t := time.NewTicker(lookEvery)
	return t.C, t.Stop
}
