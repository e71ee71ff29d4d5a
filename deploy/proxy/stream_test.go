package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"tinyforge/db"
	"tinyforge/deploy"
)

// A websocket and an event stream stay with the release they started on until the bound of its drain, and end then.
func TestStreamsAcrossASwap(t *testing.T) {
	p := serve(t, Config{})
	rt := db.Route{WorkloadID: 1, Host: "a.test"}
	blue, green := streamer(t, "blue"), streamer(t, "green")
	upsert(t, p, rt.Host, blue)
	ws := dialWebsocket(t, p)
	events := openEvents(t, p)
	wantEcho(t, ws, "blue")
	wantEvent(t, events, "blue")

	upsert(t, p, rt.Host, green)
	wantEcho(t, ws, "blue")
	wantEvent(t, events, "blue")
	later := dialWebsocket(t, p)
	wantEcho(t, later, "green")
	if s := p.Stats()[0]; s.InFlight != 3 {
		t.Errorf("%d in flight, want the 3 streams", s.InFlight)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.Drain(ctx, rt, blue); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drain: %v, want the context's error", err)
	}
	wantEnd(t, ws, events)
	wantEcho(t, later, "green")
	if err := p.Drain(t.Context(), rt, blue); err != nil {
		t.Errorf("drain once they are ended: %v", err)
	}
}

// A stream that the client closes lets the drain go on at once.
func TestDrainEndsWithTheLastStream(t *testing.T) {
	p := serve(t, Config{})
	rt := db.Route{WorkloadID: 1, Host: "a.test"}
	blue := streamer(t, "blue")
	upsert(t, p, rt.Host, blue)
	ws := dialWebsocket(t, p)
	wantEcho(t, ws, "blue")
	upsert(t, p, rt.Host, streamer(t, "green"))
	drained := make(chan error, 1)
	go func() { drained <- p.Drain(t.Context(), rt, blue) }()
	wantEcho(t, ws, "blue")
	select {
	case err := <-drained:
		t.Fatalf("drain returned before the websocket was closed: %v", err)
	default:
	}
	must(t, ws.Close(websocket.StatusNormalClosure, ""))
	must(t, <-drained)
}

func TestStopClosesWebsocketsPolitely(t *testing.T) {
	p := serve(t, Config{Grace: 20 * time.Second})
	upsert(t, p, "a.test", streamer(t, "blue"))
	ws := dialWebsocket(t, p)
	wantEcho(t, ws, "blue")
	p.cancel()
	_, _, err := ws.Read(t.Context())
	if status := websocket.CloseStatus(err); status != websocket.StatusGoingAway {
		t.Errorf("read: %v (status %d), want going away", err, status)
	}
	must(t, p.wait(t))
}

// streamer echoes on /ws with its name in front, and sends an event on /events for every value that it gets on /tick.
func streamer(t *testing.T, name string) deploy.Upstream {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, msg, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, append([]byte(name+" "), msg...)) != nil {
				return
			}
		}
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			if _, err := fmt.Fprintf(w, "data: %s\n\n", name); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
		}
	})
	return upstream(t, name, mux.ServeHTTP)
}

func dialWebsocket(t *testing.T, p *testProxy) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), "ws://a.test/ws", &websocket.DialOptions{HTTPClient: p.client})
	must(t, err)
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

func wantEcho(t *testing.T, c *websocket.Conn, name string) {
	t.Helper()
	must(t, c.Write(t.Context(), websocket.MessageText, []byte("hello")))
	_, msg, err := c.Read(t.Context())
	must(t, err)
	if string(msg) != name+" hello" {
		t.Errorf("echo %q, want %s's", msg, name)
	}
}

func openEvents(t *testing.T, p *testProxy) *bufio.Scanner {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://a.test/events", nil)
	must(t, err)
	res, err := p.client.Do(req)
	must(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	return bufio.NewScanner(res.Body)
}

func wantEvent(t *testing.T, s *bufio.Scanner, name string) {
	t.Helper()
	for range 2 { // the event and the blank line after it
		if !s.Scan() {
			t.Fatalf("the event stream ended: %v", s.Err())
		}
		if line := s.Text(); line != "" && line != "data: "+name {
			t.Errorf("event %q, want %s's", line, name)
		}
	}
}

// wantEnd waits until both streams are ended, in order.
func wantEnd(t *testing.T, c *websocket.Conn, s *bufio.Scanner) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, _, err := c.Read(ctx)
	if status := websocket.CloseStatus(err); status != websocket.StatusGoingAway {
		t.Errorf("the websocket ended with %v (status %d), want going away", err, status)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for s.Scan() {
			continue
		}
	}()
	select {
	case <-ended:
		if err := s.Err(); err != nil {
			t.Errorf("the event stream was cut: %v", err)
		}
	case <-ctx.Done():
		t.Error("the event stream goes on")
	}
}
