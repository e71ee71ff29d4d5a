package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// http2Client sends a request again and again over one connection of HTTP/2, several at a time, and as client does it does as little
// as can be.
type http2Client struct {
	conn   net.Conn
	in     *bufio.Reader
	out    *bufio.Writer
	frames *http2.Framer
	fields []byte // of the request: none is in a table, so that they are the same each time

	last   uint32               // stream
	sent   map[uint32]time.Time // requests that have no whole answer, by stream
	status map[uint32]int       // of their answers
	head   *hpack.Decoder
	field  int // the status in the header that is read
}

// window is how many bytes of answers a connection takes in all.
const window = 1 << 30

// dialHTTP2 fails where the server does not agree to HTTP/2.
func (p place) dialHTTP2(ctx context.Context, path string) (*http2Client, error) {
	secure := p.tls.Clone()
	secure.NextProtos = []string{"h2"}
	plain, err := place{p.address, secure}.dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &http2Client{conn: plain.conn, in: plain.in, out: bufio.NewWriter(plain.conn), sent: map[uint32]time.Time{}, status: map[uint32]int{}}
	if got := c.conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != "h2" {
		return nil, errors.Join(fmt.Errorf("%s speaks %q, not HTTP/2", p.address, got), c.conn.Close())
	}
	c.frames = http2.NewFramer(c.out, c.in)
	c.frames.SetReuseFrames()
	c.head = hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == ":status" {
			c.field, _ = strconv.Atoi(f.Value)
		}
	})
	var b bytes.Buffer
	encoder := hpack.NewEncoder(&b)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", host}, {":path", path}, {"user-agent", "bench"}} {
		err = errors.Join(err, encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: true}))
	}
	c.fields = b.Bytes()
	_, begun := c.out.WriteString(http2.ClientPreface)
	err = errors.Join(err, begun, c.frames.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}), c.frames.WriteWindowUpdate(0, window), c.out.Flush())
	if err != nil {
		return nil, errors.Join(err, c.conn.Close())
	}
	return c, nil
}

// hammerHTTP2 is hammer for some connections of HTTP/2 with some requests at a time on each.
func hammerHTTP2(ctx context.Context, to place, connections, streams int, lasts time.Duration, path string) (*load, error) {
	all := make([]*http2Client, connections)
	for i := range all {
		c, err := to.dialHTTP2(ctx, path)
		if err != nil {
			return nil, err
		}
		defer c.conn.Close()
		all[i] = c
	}
	return atOnce(ctx, connections, lasts, func(n int, until time.Time) *load { return all[n].hammer(ctx, streams, until) })
}

// hammer ends with the first request that fails.
func (c *http2Client) hammer(ctx context.Context, streams int, until time.Time) *load {
	l := &load{}
	err := c.conn.SetDeadline(until.Add(answerPatience))
	for range streams {
		err = errors.Join(err, c.send())
	}
	for err == nil && len(c.sent) > 0 {
		var ended uint32
		if ended, err = c.read(); err != nil || ended == 0 {
			continue
		}
		now, a := time.Now(), answer{status: c.status[ended]}
		if !l.note(a, nil, now.Sub(c.sent[ended])) {
			return l
		}
		delete(c.sent, ended)
		delete(c.status, ended)
		if now.Before(until) && ctx.Err() == nil {
			err = c.send()
		}
	}
	if err != nil {
		l.note(answer{}, err, 0)
	}
	return l
}

func (c *http2Client) send() error {
	c.last += 2
	id := c.last - 1
	c.sent[id] = time.Now()
	return c.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.fields, EndStream: true, EndHeaders: true})
}

// read takes the next frame, and returns the stream that ended with it, or 0.
func (c *http2Client) read() (ended uint32, err error) {
	if c.in.Buffered() == 0 {
		if err := c.out.Flush(); err != nil {
			return 0, err
		}
	}
	frame, err := c.frames.ReadFrame()
	if err != nil {
		return 0, err
	}
	over := false
	switch f := frame.(type) {
	case *http2.HeadersFrame:
		if !f.HeadersEnded() {
			return 0, errors.New("the header of an answer is longer than a frame")
		}
		if _, err := c.head.Write(f.HeaderBlockFragment()); err != nil {
			return 0, err
		}
		c.status[f.StreamID], over = c.field, f.StreamEnded()
	case *http2.DataFrame:
		over = f.StreamEnded()
	case *http2.SettingsFrame:
		if !f.IsAck() {
			err = c.frames.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			err = c.frames.WritePing(true, f.Data)
		}
	case *http2.RSTStreamFrame, *http2.GoAwayFrame:
		err = fmt.Errorf("the server ends a stream: %s", f)
	}
	if over {
		ended = frame.Header().StreamID
	}
	return ended, err
}
