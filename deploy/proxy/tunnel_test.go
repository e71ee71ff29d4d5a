package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
)

func TestFrames(t *testing.T) {
	long := strings.Repeat("x", 300)
	for name, tt := range map[string]struct {
		bytes  string
		mayEnd bool
	}{
		"nothing":                {"", true},
		"a frame":                {"\x81\x02hi", true},
		"an empty one":           {"\x89\x00", true},
		"a masked one":           {"\x81\x82mask\x00\x00", true},
		"an empty masked one":    {"\x89\x80mask", true},
		"a fragment":             {"\x01\x02hi", true},
		"16 bits of length":      {"\x82\x7e\x01\x2c" + long, true},
		"64 bits of length":      {"\x82\xff\x00\x00\x00\x00\x00\x00\x01\x2cmask" + long, true},
		"two frames":             {"\x82\x7e\x01\x2c" + long + "\x81\x02hi", true},
		"one byte":               {"\x81", false},
		"half a length":          {"\x82\x7e\x01", false},
		"half a mask":            {"\x81\x80ma", false},
		"a payload to come":      {"\x81\x02", false},
		"half a payload":         {"\x81\x02h", false},
		"a second half":          {"\x81\x02hi\x82\x7e\x01\x2c" + long[1:], false},
		"closed":                 {"\x88\x02\x03\xe8", false},
		"closing":                {"\x81\x02hi\x88\x02", false},
		"closed, and more":       {"\x88\x00\x81\x02hi", false},
		"no websocket of anyone": {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", false},
	} {
		for step := 1; step <= max(1, len(tt.bytes)); step++ {
			var f frames
			for b := []byte(tt.bytes); len(b) > 0; b = b[min(step, len(b)):] {
				f.follow(b[:min(step, len(b))])
			}
			if got := f.mayEnd(); got != tt.mayEnd {
				t.Errorf("%s, %d bytes at a time: may end: %v", name, step, got)
			}
		}
	}
}

// Both ends of a websocket that is ended are told so, but not in the middle of a frame, and in no other protocol.
func TestTunnelEnds(t *testing.T) {
	const (
		early  = "\x81\x82\x00\x00\x00\x00hi" // sent with the request
		bye    = "\x88\x02\x03\xe9"
		masked = "\x88\x82\x00\x00\x00\x00\x03\xe9"
	)
	for name, tt := range map[string]struct {
		protocol   string
		early      string
		sent       string // by the upstream
		client, up string // what they get at the end
	}{
		"between frames":   {"WebSocket", early, "\x81\x02hi", bye, masked},
		"in a payload":     {"websocket", early, "\x81\x05he", "", masked},
		"in a head":        {"websocket", early, "\x82\x7e\x01", "", masked},
		"in both":          {"websocket", early + "\x81", "\x81", "", ""},
		"closed before":    {"websocket", early, "\x88\x02\x03\xe8", "", masked},
		"another protocol": {"mine", early, "\x81\x02hi", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			log := &lockedBuffer{}
			p := serve(t, Config{AccessLog: log})
			got := make(chan string, 1)
			blue := upstream(t, "blue", func(w http.ResponseWriter, r *http.Request) {
				conn, early := switchTo(t, w, r.Header.Get("Upgrade"))
				defer conn.Close()
				_, _ = io.ReadFull(early, make([]byte, len(tt.early)))
				_, _ = io.WriteString(conn, tt.sent)
				rest, _ := io.ReadAll(early)
				got <- string(rest)
			})
			upsert(t, p, "a.test", blue)
			conn, answer := askFor(t, p, tt.protocol, tt.early)
			_, err := io.ReadFull(answer, make([]byte, len(tt.sent)))
			must(t, err)
			endAtOnce(t, p)
			if rest, err := io.ReadAll(answer); err != nil || string(rest) != tt.client {
				t.Errorf("the client got %q, %v, want %q", rest, err, tt.client)
			}
			if rest := <-got; rest != tt.up {
				t.Errorf("the upstream got %q, want %q", rest, tt.up)
			}
			must(t, conn.Close())
			waitFor(t, func() bool { return strings.Contains(log.String(), `"status":101`) })
		})
	}
}

// What was not read of a client does not take the last frame away from it, and neither end holds the other up by not reading.
func TestTunnelEndsWithStubbornEnds(t *testing.T) {
	p := serve(t, Config{})
	full := make(chan struct{})
	upsert(t, p, "a.test", upstream(t, "deaf", func(w http.ResponseWriter, r *http.Request) {
		conn, _ := switchTo(t, w, r.Header.Get("Upgrade"))
		defer conn.Close()
		<-t.Context().Done()
	}))
	conn, answer := askFor(t, p, "websocket", "")
	flood(conn, "\x82\xfe\x10\x00mask")
	endAtOnce(t, p)
	if rest, err := io.ReadAll(answer); err != nil || string(rest) != "\x88\x02\x03\xe9" {
		t.Errorf("the client got %q, %v", rest, err)
	}

	upsert(t, p, "a.test", upstream(t, "loud", func(w http.ResponseWriter, r *http.Request) {
		conn, _ := switchTo(t, w, r.Header.Get("Upgrade"))
		defer conn.Close()
		flood(conn, "\x82\x7e\x10\x00")
		close(full)
		<-t.Context().Done()
	}))
	askFor(t, p, "websocket", "")
	<-full
	endAtOnce(t, p)
	waitFor(t, func() bool { return p.Stats()[0].InFlight == 0 })
}

// flood writes frames of 4096 bytes after a head, until nobody takes any more.
func flood(conn net.Conn, head string) {
	for frame := append([]byte(head), make([]byte, 4096)...); ; {
		_ = conn.SetWriteDeadline(time.Now().Add(4 * soon))
		if _, err := conn.Write(frame); err != nil {
			return
		}
	}
}

// switchTo agrees to another protocol, as an upstream.
func switchTo(t *testing.T, w http.ResponseWriter, protocol string) (net.Conn, io.Reader) {
	t.Helper()
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		panic(http.ErrAbortHandler)
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+protocol+"\r\n\r\n")
	return conn, buffered
}

// askFor asks a.test for another protocol, in which early is sent at once, and returns what is answered in it.
func askFor(t *testing.T, p *testProxy, protocol, early string) (net.Conn, io.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", p.HTTPAddr().String())
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(eventually)))
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: "+protocol+"\r\n\r\n"+early)
	must(t, err)
	answer := bufio.NewReader(conn)
	res, err := http.ReadResponse(answer, nil)
	must(t, err)
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %s", res.Status)
	}
	return conn, answer
}

// endAtOnce replaces what a.test points at, and does not wait for it.
func endAtOnce(t *testing.T, p *testProxy) {
	t.Helper()
	rt := db.Route{WorkloadID: 1, Host: "a.test"}
	old, err := p.Current(t.Context(), rt)
	must(t, err)
	upsert(t, p, rt.Host, echoName(t, "next"))
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if err := p.Drain(ctx, rt, old); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drain: %v, want the context's error", err)
	}
}
