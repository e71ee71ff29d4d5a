package proxy

import (
	"context"
	"net"
	"net/http"
	"time"
)

const (
	dialTimeout  = 3 * time.Second
	dialAnother  = time.Second // where the upstream has other addresses
	deadAfter    = 3 * time.Second
	uploadDead   = time.Minute // for what may be sent to a program that does not read it yet
	uploadSmall  = 16 << 10    // bytes that an upstream's kernel takes, whatever its program does
	probeEvery   = time.Second // of a connection on which nothing moves
	probesUnseen = 3
)

// transports take requests to upstreams. They differ in how long they wait for an upstream's machine to say that it has got what was
// sent, after which the connection is dead: a machine without power, or whose link is cut, says nothing, and TCP by itself waits for a
// quarter of an hour. A program that does not read a large upload looks the same to Linux after a while (tcp(7), TCP_USER_TIMEOUT), and
// so those and tunnels have a transport of their own.
type transports struct{ usual, upload *http.Transport }

func newTransports() *transports {
	return &transports{newTransport(deadAfter), newTransport(uploadDead)}
}

func newTransport(dead time.Duration) *http.Transport {
	d := &net.Dialer{
		Timeout:         dialTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: probeEvery, Interval: probeEvery, Count: probesUnseen},
		Control:         giveUpAfter(dead),
	}
	return &http.Transport{ // without a Proxy: HTTP_PROXY is not for our own containers
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if ctx.Value(severalKey{}) != nil {
				quick := *d
				quick.Timeout = dialAnother
				return quick.DialContext(ctx, network, addr)
			}
			return d.DialContext(ctx, network, addr)
		},
		DisableCompression:  true,
		MaxIdleConnsPerHost: upstreamIdleMost,
		IdleConnTimeout:     upstreamIdle,
	}
}

// severalKey marks the requests of an upstream that has several addresses.
type severalKey struct{}

// of is the transport for a request.
func (t *transports) of(r *http.Request) *http.Transport {
	if upgrades(r) || r.ContentLength < 0 || r.ContentLength > uploadSmall {
		return t.upload
	}
	return t.usual
}
