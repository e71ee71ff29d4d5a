package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"tinyforge/app/forgetest"
	"tinyforge/db"
)

const shareText = "The same pushes to a second tinyforge serve, whose calls to Docker go through a program that notes when each begins and ends. " +
	"Docker is the time in which at least one call was under way, the stream of events aside; git is what the deployment's log says that the fetch took, with what the forge " +
	"was asked for before it; our own share is the time in which neither was under way, from the delivery to the first 200: the webhook, the rows, the gate's requests to the site and " +
	"its pauses, the route, and some 2 ms until it is noticed."

// measureShare tells Docker's and git's time in a deployment from ours.
func measureShare(ctx context.Context, o choice, s *stage, forge *forgetest.Server, base, name, dockerHost string, done func(work)) error {
	calls, err := listenForCalls(ctx, filepath.Join(s.dir, "docker.sock"), dockerHost)
	if err != nil {
		return err
	}
	s.add(calls.end)
	x, err := newSites(ctx, s, forge, base, name, "unix://"+calls.socket)
	if err != nil {
		return err
	}
	w := &work{Name: "a deployment, our own share", Text: shareText}
	list := []pusher{{blueGreen, x.once(blueGreen)}, {recreate, x.once(recreate)}}
	if _, err := pushRounds(ctx, &work{}, list, 0, o.times(7)); err != nil {
		return err
	}
	for _, p := range list {
		for _, d := range x.all[p.name].pushed[1:] {
			fetch, err := x.fetch(ctx, d.dep.ID)
			if err != nil {
				return err
			}
			all := d.live.Sub(d.sent)
			w.add(p.name, "to live", "ms", milliseconds(all))
			w.add(p.name, "Docker", "ms", milliseconds(calls.busy(d.sent, d.live)))
			w.add(p.name, "git", "ms", milliseconds(fetch.to.Sub(fetch.from)))
			w.add(p.name, "own share", "ms", milliseconds(all-calls.busy(d.sent, d.live, fetch)))
		}
		w.Goals = append(w.Goals, goal{Who: p.name, Metric: "own share", AtMost: 25})
	}
	x.end()
	done(*w)
	return nil
}

// fetch is when a deployment's checkout was under way, as its log says: "Fetched acme/hello at abc in 12ms".
func (x *sites) fetch(ctx context.Context, deployment int64) (span, error) {
	lines, err := x.store.Log(ctx, deployment, 0, 10_000)
	if err != nil {
		return span{}, err
	}
	return fetchOf(lines)
}

func fetchOf(lines []db.LogLine) (span, error) {
	for _, l := range lines {
		if words := strings.Fields(l.Text); len(words) > 2 && words[0] == "Fetched" {
			took, err := time.ParseDuration(words[len(words)-1])
			return span{l.At.Add(-took), l.At}, err
		}
	}
	return span{}, errors.New("the log of a deployment does not say how long the fetch took")
}

// calls is a socket in front of Docker's that notes when calls are under way.
type calls struct {
	socket string
	server *http.Server
	mu     sync.Mutex
	noted  []span
}

// span is a time.
type span struct{ from, to time.Time }

// listenForCalls opens the socket.
func listenForCalls(ctx context.Context, socket, dockerHost string) (*calls, error) {
	kind, address, found := strings.Cut(dockerHost, "://")
	if !found || kind != "unix" && kind != "tcp" {
		return nil, fmt.Errorf("note the calls to %s: only a unix or a tcp address can be", dockerHost)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "docker"})
	proxy.FlushInterval = -1
	proxy.Transport = &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, kind, address)
		}}
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	c := &calls{socket: socket}
	c.server = &http.Server{ReadHeaderTimeout: answerPatience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/events") {
			defer c.note(time.Now())
		}
		proxy.ServeHTTP(w, r)
	})}
	go func() { _ = c.server.Serve(l) }()
	return c, nil
}

func (c *calls) end() { _ = c.server.Close() }

// note is called when a call has ended.
func (c *calls) note(from time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noted = append(c.noted, span{from, time.Now()})
}

// busy is how much of a time at least one call was under way that has ended by now, or something else.
func (c *calls) busy(from, to time.Time, beside ...span) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return covered(slices.Concat(c.noted, beside), from, to)
}

// covered is how much of a time is in at least one of the spans.
func covered(spans []span, from, to time.Time) (sum time.Duration) {
	spans = slices.SortedFunc(slices.Values(spans), func(a, b span) int { return a.from.Compare(b.from) })
	for _, s := range spans {
		if s.from.Before(from) {
			s.from = from
		}
		if s.to.After(to) {
			s.to = to
		}
		if s.to.After(s.from) {
			sum += s.to.Sub(s.from)
			from = s.to
		}
	}
	return sum
}
