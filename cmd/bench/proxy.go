package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"time"
)

// traffic is one kind of requests through a proxy.
type traffic struct {
	name, text string
	rounds     int
	secure     bool
	compressed bool
	clients    int
	streams    int     // requests at a time on a connection, over HTTP/2; 0 means HTTP/1.1
	perSecond  float64 // 0 means as many as there can be
	lasts      time.Duration
	path       string
	request    []byte
	answer     string // the text that is to come, which is looked at once a round; "" for any
	goals      []goal
}

func traffics() []traffic {
	get, megabyte := request("GET", "/", host, nil), bytes.Repeat([]byte("0123456789abcdef"), 1<<20/16)
	asFast := []goal{{Who: ours, Metric: "requests", To: caddyNow, AtLeast: 1}}
	return []traffic{
		{name: "small answers", text: "GET of 115 bytes over 50 connections that are kept, as many as there can be.", rounds: 5, clients: 50,
			lasts: 1500 * time.Millisecond, path: "/", request: get, goals: []goal{
				{Who: ours, Metric: "requests", To: caddyNow, AtLeast: 1.25}, {Who: ours, Metric: "CPU", To: caddyNow, AtMost: 0.80}}},
		{name: "1,000 a second", text: "The same at 1,000 requests a second in all.", rounds: 5, clients: 50, perSecond: 1000,
			lasts: 1500 * time.Millisecond, path: "/", request: get, goals: []goal{{Who: ours, Metric: "p99", To: caddyNow, AtMost: 1}}},
		{name: "large answers", text: "GET of 100 kB over 50 connections.", rounds: 3, clients: 50, lasts: time.Second,
			path: "/large", request: request("GET", "/large", host, nil), goals: asFast},
		{name: "uploads", text: "POST of 1 MB over 16 connections.", rounds: 3, clients: 16, lasts: time.Second,
			path: "/upload", request: request("POST", "/upload", host, megabyte), goals: asFast},
		{name: "HTTPS", text: "GET of 115 bytes over 50 connections with TLS 1.3.", rounds: 3, clients: 50, lasts: 1200 * time.Millisecond, secure: true,
			path: "/", request: get, goals: asFast},
		{name: "HTTP/2", text: "GET of 115 bytes over 10 connections with TLS 1.3, 5 at a time on each. Without a proxy it is the program behind the others that speaks HTTP/2.",
			rounds: 3, clients: 10, streams: 5, lasts: 1200 * time.Millisecond, secure: true, path: "/", answer: smallAnswer(1), goals: asFast},
		{name: "compressed", text: `GET of a file of 20 kB of a static site, over 50 connections, by clients that accept gzip. Caddy and nginx serve the file, compressed as each does
by itself: see the size. Tinyforge does it as it deploys a static site: the server in its container, which keeps what it has compressed,
and the proxy before it, with the CPU time of both. HAProxy serves no files and compresses what the program behind it answers. Without a proxy it was compressed
before. net/http + httputil compresses nothing.`,
			rounds: 3, clients: 50, lasts: 1200 * time.Millisecond, compressed: true, path: "/page.html", request: request("GET", "/page.html", host, nil, "Accept-Encoding: gzip"),
			answer: page(), goals: asFast},
	}
}

// measureProxy sends the same requests through each proxy to the same program.
func measureProxy(ctx context.Context, o choice, s *stage, done func(work)) error {
	upstream, err := freeAddress()
	if err != nil {
		return err
	}
	behind, err := start(s.dir, "backend", nil, s.self, "peer", "backend", upstream)
	if err != nil {
		return err
	}
	s.add(behind.kill)
	if err := behind.answers(ctx, upstream); err != nil {
		return err
	}
	s.logs = true
	for _, s.compress = range []bool{false, true} {
		list := contenders()
		if s.compress {
			list = packers()
			if err := s.writeSite(); err != nil {
				return err
			}
		}
		if err := measureTraffics(ctx, o, s, upstream, list, done); err != nil {
			return err
		}
	}
	return nil
}

// measureTraffics starts the contenders, as the stage has it, and ends them.
func measureTraffics(ctx context.Context, o choice, s *stage, upstream string, list []contender, done func(work)) error {
	var running closers
	defer running.close()
	var all []*proxied
	for _, c := range list {
		p, err := c.start(ctx, s, upstream)
		if err != nil {
			return err
		}
		running.add(p.end)
		all = append(all, p)
	}
	for _, t := range traffics() {
		if t.compressed != s.compress {
			continue
		}
		w, err := t.measure(ctx, o, list, all)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		done(*w)
	}
	return nil
}

// measure goes round the contenders, beginning with another one each time.
func (t traffic) measure(ctx context.Context, o choice, list []contender, all []*proxied) (*work, error) {
	w := &work{Name: "proxy, " + t.name, Text: t.text, Base: caddyNow, Goals: t.goals}
	for round := range o.times(t.rounds) {
		for i := range list {
			n := (i + round) % len(list)
			if t.secure && all[n].secure == "" || !t.secure && all[n].plain == "" {
				continue
			}
			if err := t.once(ctx, w, list[n].name, all[n]); err != nil {
				return nil, fmt.Errorf("%s: %w", list[n].name, err)
			}
		}
	}
	return w, nil
}

func (t traffic) once(ctx context.Context, w *work, name string, p *proxied) error {
	to := place{address: p.plain}
	if t.secure {
		to = place{p.secure, &tls.Config{ServerName: host, InsecureSkipVerify: true}} //nolint:gosec // the certificate is nobody's
	}
	if err := t.check(ctx, to); err != nil {
		return err
	}
	if _, err := t.send(ctx, to, 200*time.Millisecond); err != nil { // connections to the upstream are made
		return err
	}
	before, err := p.computed()
	if err != nil {
		return err
	}
	l, err := t.send(ctx, to, t.lasts)
	if err != nil {
		return err
	}
	if err := l.ok(); err != nil {
		return err
	}
	after, err := p.computed()
	if err != nil {
		return err
	}
	if t.perSecond == 0 {
		w.add(name, "requests", "1/s", l.perSecond())
	}
	w.add(name, "p50", "ms", percentile(l.delays, 50))
	w.add(name, "p99", "ms", percentile(l.delays, 99))
	if t.compressed {
		w.add(name, "size", "kB", float64(l.size)/float64(l.answers)/1000)
	}
	if p.process != nil {
		w.add(name, "CPU", "µs/request", float64((after-before).Microseconds())/float64(l.answers))
	}
	return nil
}

// send sends the requests for a time.
func (t traffic) send(ctx context.Context, to place, lasts time.Duration) (*load, error) {
	switch {
	case t.streams > 0:
		return hammerHTTP2(ctx, to, t.clients, t.streams, lasts, t.path)
	case t.perSecond > 0:
		return pace(ctx, to, t.clients, t.perSecond, lasts, t.request)
	}
	return hammer(ctx, to, t.clients, lasts, t.request)
}

// computed is the time that a proxy has computed, if there is one, with the server of the static site behind it.
func (p *proxied) computed() (all time.Duration, err error) {
	for _, one := range []*process{p.process, p.behind} {
		if one == nil {
			continue
		}
		took, err := one.cpu()
		if err != nil {
			return 0, err
		}
		all += took
	}
	return all, nil
}
