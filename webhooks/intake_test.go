package webhooks

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are pipes, so that a server can run in a bubble with a clock of its own.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// intakes is a server that takes bodies in and answers with what they held.
type intakes struct {
	t      *testing.T
	budget budget
	pipes  *pipes
	taken  chan struct{}  // has a value for each body that was taken in, when then is set
	then   chan struct{}  // what the handler waits for before it answers; nil for nothing
	group  sync.WaitGroup // what sends
}

// inBubble runs a test with a server, and checks at its end that all was given back.
func inBubble(t *testing.T, test func(t *testing.T, s *intakes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &intakes{
			t: t, budget: newBudget(), pipes: &pipes{make(chan net.Conn), make(chan struct{})},
			taken: make(chan struct{}), then: make(chan struct{}),
		}
		server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
		go func() { _ = server.Serve(s.pipes) }()
		test(t, s)
		s.group.Wait()
		if err := server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if !s.budget.all.TryAcquire(maxHeld) || !s.budget.large.TryAcquire(maxHeldLarge) {
			t.Error("not all was given back")
		}
	})
}

func (s *intakes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in := s.budget.take(w, r)
	defer in.close()
	body, err := in.read(r.Context())
	if r.URL.Path == "/held" {
		s.taken <- struct{}{}
		<-s.then
	}
	switch err := err.(type) { //nolint:errorlint // read promises this type
	case nil:
		fmt.Fprintf(w, "%d bytes, %v", len(body), r.Context().Err())
	case *bodyError:
		http.Error(w, err.text, err.code)
	}
}

// send begins a request with a body of an announced length; -1 is chunked.
func (s *intakes) send(length int) *sending { return s.sendTo("/", length) }

func (s *intakes) sendTo(path string, length int) *sending {
	ours, theirs := net.Pipe()
	s.pipes.conns <- theirs
	c := &sending{t: s.t, conn: ours, answers: bufio.NewReader(ours), since: time.Now()}
	c.head(path, length)
	return c
}

// sending is the forge's side of a request.
type sending struct {
	t       *testing.T
	conn    net.Conn
	answers *bufio.Reader
	since   time.Time
}

func (c *sending) head(path string, length int) {
	framing := fmt.Sprintf("Content-Length: %d", length)
	if length < 0 {
		framing = "Transfer-Encoding: chunked"
	}
	c.write("POST " + path + " HTTP/1.1\r\nHost: x\r\n" + framing + "\r\n\r\n")
}

func (c *sending) write(text string) bool {
	_, err := io.WriteString(c.conn, text)
	return err == nil
}

// want checks the answer, and how long after the request it came.
func (c *sending) want(code int, text string, least, most time.Duration) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		c.t.Fatalf("after %s: %v", time.Since(c.since), err)
	}
	answer, err := io.ReadAll(resp.Body)
	took := time.Since(c.since)
	if err != nil || resp.StatusCode != code || !strings.Contains(string(answer), text) {
		c.t.Errorf("answered %d %q, %v, want %d %q", resp.StatusCode, answer, err, code, text)
	}
	if took < least || took > most {
		c.t.Errorf("answered after %s, want %s to %s", took, least, most)
	}
}

func text(n int) string { return strings.Repeat(" ", n) }

func TestABodyArrivesWhole(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, firstChunk - 1, firstChunk, firstChunk + 1, smallBody, smallBody + 1, MaxBody} {
		inBubble(t, func(_ *testing.T, s *intakes) {
			c := s.send(n)
			s.group.Go(func() { c.write(text(n)) })
			c.want(http.StatusOK, fmt.Sprintf("%d bytes, <nil>", n), 0, 0)
			c.conn.Close()
		})
		inBubble(t, func(_ *testing.T, s *intakes) {
			c := s.send(-1)
			s.group.Go(func() {
				if n > 0 {
					c.write(fmt.Sprintf("%x\r\n%s\r\n", n, text(n)))
				}
				c.write("0\r\n\r\n")
			})
			c.want(http.StatusOK, fmt.Sprintf("%d bytes, <nil>", n), 0, 0)
			c.conn.Close()
		})
	}
}

func TestABodyHasToArriveInTime(t *testing.T) {
	t.Parallel()
	const length = 25 << 20
	t.Run("it stalls at once", func(t *testing.T) {
		inBubble(t, func(_ *testing.T, s *intakes) {
			c := s.send(length)
			c.want(http.StatusRequestTimeout, "did not arrive in time", 10*time.Second, 10*time.Second)
			c.conn.Close()
		})
	})
	t.Run("it stalls after 4 MB", func(t *testing.T) {
		inBubble(t, func(_ *testing.T, s *intakes) {
			c := s.send(length)
			s.group.Go(func() { c.write(text(4 << 20)) })
			c.want(http.StatusRequestTimeout, "did not arrive in time", 14*time.Second, 14*time.Second)
			c.conn.Close()
		})
	})
	t.Run("it trickles", func(t *testing.T) {
		inBubble(t, func(_ *testing.T, s *intakes) {
			c := s.send(length)
			s.group.Go(func() {
				for c.write(text(1 << 10)) {
					time.Sleep(100 * time.Millisecond)
				}
			})
			c.want(http.StatusRequestTimeout, "did not arrive in time", 10*time.Second, 11*time.Second)
			c.conn.Close()
		})
	})
	t.Run("a small one stalls", func(t *testing.T) {
		inBubble(t, func(_ *testing.T, s *intakes) {
			c := s.send(100)
			c.write(text(99))
			c.want(http.StatusRequestTimeout, "did not arrive in time", 10*time.Second, 11*time.Second)
			c.conn.Close()
		})
	})
	t.Run("it comes slowly but steadily", func(t *testing.T) {
		inBubble(t, func(_ *testing.T, s *intakes) {
			c := s.send(length)
			s.group.Go(func() {
				for range 100 {
					c.write(text(length / 100))
					time.Sleep(300 * time.Millisecond)
				}
			})
			c.want(http.StatusOK, fmt.Sprintf("%d bytes", length), 29*time.Second, 31*time.Second)
			c.conn.Close()
		})
	})
}

// The bound is of the body: neither the handler nor the next request on the connection feel it.
func TestTheBoundEndsWithTheBody(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "abc"} {
		inBubble(t, func(_ *testing.T, s *intakes) {
			c := s.sendTo("/held", len(text))
			if text != "" { // a pipe tells the other side of an empty write
				c.write(text)
			}
			<-s.taken
			time.Sleep(time.Minute)
			close(s.then)
			c.want(http.StatusOK, fmt.Sprintf("%d bytes, <nil>", len(text)), time.Minute, time.Minute)
			time.Sleep(time.Minute)
			c.head("/", 4)
			c.write("abcd")
			c.want(http.StatusOK, "4 bytes, <nil>", 2*time.Minute, 2*time.Minute)
			c.conn.Close()
		})
	}
}

func TestABodyWaitsForRoom(t *testing.T) {
	t.Parallel()
	t.Run("in vain", func(t *testing.T) {
		inBubble(t, func(t *testing.T, s *intakes) {
			must(t, s.budget.all.Acquire(t.Context(), maxHeld))
			c := s.send(1 << 20)
			c.want(http.StatusServiceUnavailable, "send it again", holdPatience, holdPatience)
			c.conn.Close()
			s.budget.all.Release(maxHeld)
		})
	})
	t.Run("until somebody is done", func(t *testing.T) {
		inBubble(t, func(t *testing.T, s *intakes) {
			must(t, s.budget.all.Acquire(t.Context(), maxHeld))
			time.AfterFunc(time.Second, func() { s.budget.all.Release(maxHeld) })
			c := s.send(3)
			s.group.Go(func() { c.write("abc") })
			c.want(http.StatusOK, "3 bytes", time.Second, time.Second)
			c.conn.Close()
		})
	})
	t.Run("in its middle", func(t *testing.T) {
		inBubble(t, func(t *testing.T, s *intakes) {
			must(t, s.budget.large.Acquire(t.Context(), maxHeldLarge-8<<20))
			c := s.send(MaxBody)
			s.group.Go(func() { c.write(text(8<<20 + 1)) })
			c.want(http.StatusServiceUnavailable, "send it again", holdPatience, holdPatience)
			c.conn.Close()
			s.budget.large.Release(maxHeldLarge - 8<<20)
		})
	})
}

// However much large bodies, or those of unknown length, take, there is room for small ones.
func TestSmallBodiesHaveRoomOfTheirOwn(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, s *intakes) {
		var stalled []*sending
		for n := range 12 {
			c := s.send([]int{MaxBody, -1}[n%2])
			if n%2 == 1 {
				c.write(fmt.Sprintf("%x\r\n", MaxBody))
			}
			c.write(text(4<<20 - 1))
			stalled = append(stalled, c)
		}
		synctest.Wait()
		if s.budget.large.TryAcquire(1) {
			t.Fatal("large bodies have room left")
		}
		refused := s.send(smallBody + 1)
		var small []*sending
		for range 15 { // all at once
			c := s.sendTo("/held", smallBody)
			s.group.Go(func() { c.write(text(smallBody)) })
			small = append(small, c)
		}
		for range small {
			<-s.taken
		}
		close(s.then)
		for _, c := range small {
			c.want(http.StatusOK, fmt.Sprintf("%d bytes", smallBody), 0, 0)
			c.conn.Close()
		}
		refused.want(http.StatusServiceUnavailable, "send it again", holdPatience, holdPatience)
		refused.conn.Close()
		for _, c := range stalled {
			c.conn.Close()
		}
	})
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	var gate throttle
	now := time.Unix(1_800_000_000, 0)
	for _, step := range []struct {
		after time.Duration
		left  int
		ok    bool
	}{
		{0, 0, true},
		{time.Millisecond, 0, false},
		{998 * time.Millisecond, 0, false},
		{time.Millisecond, 2, true},
		{time.Second, 0, true},
		{999 * time.Millisecond, 0, false},
		{time.Hour, 1, true},
	} {
		now = now.Add(step.after)
		if left, ok := gate.pass(now); left != step.left || ok != step.ok {
			t.Errorf("after %s: %d, %v, want %d, %v", step.after, left, ok, step.left, step.ok)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
