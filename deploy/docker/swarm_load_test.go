//go:build chaos

package docker_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// load is who visits a site all the time.
type load struct {
	t      *testing.T
	client *http.Client
	host   string
	cancel context.CancelFunc
	guests sync.WaitGroup

	mu   sync.Mutex
	sent []sent
}

// sent is one request.
type sent struct {
	kind       string
	begun, end time.Time
	said       string // the answer's body
	wrong      string // "" when it was answered well
}

// kinds are what guests ask for, and how many of them at a time.
var kinds = []struct {
	name, method, path, body string
	guests                   int
}{
	{"page", http.MethodGet, "/", "", 3},
	{"slow", http.MethodGet, "/slow?ms=400", "", 3},
	{"post", http.MethodPost, "/echo", strings.Repeat("x", 1000), 2},
}

// visitAllTheTime begins to visit the host through the proxy at an address, until the test ends. It returns when each of them has had an answer.
func visitAllTheTime(t *testing.T, proxy, host string) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{t: t, host: host, cancel: cancel}
	transport := &http.Transport{MaxIdleConnsPerHost: 50, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", proxy)
	}}
	l.client = &http.Client{Transport: transport, Timeout: time.Minute}
	t.Cleanup(func() { cancel(); l.guests.Wait(); transport.CloseIdleConnections() })
	var first sync.WaitGroup
	for _, k := range kinds {
		for range k.guests {
			first.Add(1)
			l.guests.Go(func() {
				arrived := sync.OnceFunc(first.Done)
				defer arrived()
				for tick := time.NewTicker(25 * time.Millisecond); ctx.Err() == nil; <-tick.C {
					l.ask(ctx, k.name, k.method, k.path, k.body)
					arrived()
				}
			})
		}
	}
	first.Wait()
	return l
}

func (l *load) ask(ctx context.Context, kind, method, path, body string) {
	s := sent{kind: kind, begun: time.Now()}
	s.said, s.wrong = l.answer(ctx, method, path, body)
	s.end = time.Now()
	if ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, s)
}

func (l *load) answer(ctx context.Context, method, path, body string) (said, wrong string) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+l.host+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return "", err.Error()
	}
	res, err := l.client.Do(req)
	if err != nil {
		return "", err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return "", err.Error()
	case res.StatusCode != http.StatusOK:
		return "", res.Status
	case body != "" && string(text) != body:
		return "", fmt.Sprintf("echoed %d bytes of %d", len(text), len(body))
	}
	return string(text), ""
}

// take returns what was sent and answered by now, and forgets it.
func (l *load) take() []sent {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.sent
	l.sent = nil
	return all
}

// settled waits until all that was sent before now is answered, and returns what was sent since the last time.
func (l *load) settled() []sent {
	now := time.Now()
	var all []sent
	await(l.t, "all requests are answered", func() bool {
		all = append(all, l.take()...)
		return allGuests(all, now)
	})
	return all
}

// allGuests tells whether each guest has begun another request since.
func allGuests(all []sent, when time.Time) bool {
	for _, k := range kinds {
		n := 0
		for _, s := range all {
			if s.kind == k.name && s.begun.After(when) {
				n++
			}
		}
		if n < 2*k.guests {
			return false
		}
	}
	return true
}

// outcome is a line of the table.
type outcome struct {
	fault                  string
	sent, failed, inFlight int // of those that failed: in flight at the fault
	posts                  int // of those that failed: sent after it, with a body, on a connection from before it
	slowest                time.Duration
	left, back             time.Duration // until the route left the node, and until all replicas were back
	note                   string
}

func (o outcome) String() string {
	return fmt.Sprintf("%-42s %6d %7d %10d %6d %9s %8s %8s  %s", o.fault, o.sent, o.failed, o.inFlight, o.posts, tenths(o.slowest), tenths(o.left), tenths(o.back), o.note)
}

func tenths(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// judge counts what was sent while a fault was made from begun to done, and says which requests failed that nothing excuses.
// Without begun nothing does.
func (o *outcome) judge(all []sent, begun, done time.Time, postsToo time.Duration) (bad []string) {
	o.sent += len(all)
	for _, s := range all {
		o.slowest = max(o.slowest, s.end.Sub(s.begun))
		if s.wrong == "" {
			continue
		}
		o.failed++
		switch {
		case !begun.IsZero() && s.begun.Before(done) && s.end.After(begun):
			o.inFlight++
		case s.kind == "post" && s.begun.Before(done.Add(postsToo)) && s.end.After(begun):
			o.posts++
		default:
			bad = append(bad, fmt.Sprintf("%s at %s, for %s: %s", s.kind, s.begun.Format("15:04:05.000"), tenths(s.end.Sub(s.begun)), s.wrong))
		}
	}
	slices.Sort(bad)
	return bad
}
