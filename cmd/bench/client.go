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
	"syscall"
	"time"
)

// place is where requests go.
type place struct {
	address string
	tls     *tls.Config // nil for plain HTTP
}

// client sends requests over one connection, one after the other, and does as little as can be: it shares the machine with what
// is measured. It repeats nothing.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

// answer is what of a response is looked at.
type answer struct {
	status  int
	version int64 // its X-Version, 0 for none
	size    int64 // of the body
	closes  bool  // the server will close the connection
}

const answerPatience = 30 * time.Second

func (p place) dial(ctx context.Context) (*client, error) {
	dialer := &net.Dialer{Timeout: answerPatience}
	conn, err := dialer.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return nil, err
	}
	if p.tls != nil {
		secure := tls.Client(conn, p.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		conn = secure
	}
	return &client{conn: conn, in: bufio.NewReaderSize(conn, 16<<10)}, nil
}

func (c *client) close() { _ = c.conn.Close() }

// seenClosed tells whether the server has closed the connection, or said something nobody asked for, since the last answer.
// It is for plain connections.
func (c *client) seenClosed() bool {
	tcp, plain := c.conn.(*net.TCPConn)
	if !plain || c.in.Buffered() > 0 {
		return plain
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return true
	}
	closed := true
	err = raw.Control(func(fd uintptr) { // a read with a deadline in the past would not look at all
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		closed = !errors.Is(err, syscall.EAGAIN)
	})
	return closed || err != nil
}

// exchange sends a request and reads all of its answer.
func (c *client) exchange(request []byte) (a answer, err error) {
	_ = c.conn.SetDeadline(time.Now().Add(answerPatience))
	if _, err := c.conn.Write(request); err != nil {
		return a, err
	}
	for {
		chunked := false
		if a, chunked, err = c.head(); err != nil {
			return a, err
		}
		if a.status/100 == 1 {
			continue
		}
		if chunked {
			a.size, err = c.chunks()
		} else {
			_, err = c.in.Discard(int(a.size))
		}
		return a, err
	}
}

// ask sends a request over a connection of its own.
func ask(ctx context.Context, address string, text []byte) (a answer, err error) {
	c, err := place{address: address}.dial(ctx)
	if err != nil {
		return a, err
	}
	defer c.close()
	return c.exchange(text)
}

// head reads the status and the fields that tell how long the body is.
func (c *client) head() (a answer, chunked bool, err error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return a, false, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return a, false, fmt.Errorf("%q is no answer", line)
	}
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return a, false, err
	}
	known := a.status == 204 || a.status == 304 || a.status/100 == 1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return a, false, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			if !known && !chunked {
				return a, false, errors.New("an answer does not say how long it is")
			}
			return a, chunked, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch value = bytes.TrimSpace(value); {
		case is(name, "content-length"):
			a.size, err = strconv.ParseInt(string(value), 10, 64)
			known = true
		case is(name, "transfer-encoding"):
			chunked = is(value, "chunked")
		case is(name, "x-version"):
			a.version, err = strconv.ParseInt(string(value), 10, 64)
		case is(name, "connection"):
			a.closes = is(value, "close")
		}
		if err != nil {
			return a, false, err
		}
	}
}

func (c *client) chunks() (size int64, err error) {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return size, err
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 64)
		if err != nil {
			return size, err
		}
		if _, err := c.in.Discard(int(n) + 2); err != nil {
			return size, err
		}
		if size += n; n == 0 {
			return size, nil
		}
	}
}

// is compares without regard to case.
func is(text []byte, lower string) bool {
	if len(text) != len(lower) {
		return false
	}
	for i := range lower {
		c := text[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// request is one of HTTP/1.1, ready to be sent.
func request(method, path, host string, body []byte, fields ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\n", method, path, host)
	for _, field := range fields {
		b.WriteString(field + "\r\n")
	}
	if body != nil {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}
