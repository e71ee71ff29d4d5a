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
	clients    int
	perSecond  float64 // 0 means as many as there can be
	lasts      time.Duration
	request    []byte
	goals      []goal
}

func traffics() []traffic {
	get, megabyte := request("GET", "/", host, nil), bytes.Repeat([]byte("0123456789abcdef"), 1<<20/16)
	return []traffic{
		{name: "small answers", text: "GET of 115 bytes over 50 connections that are kept, as many as there can be.", rounds: 5, clients: 50,
			lasts: 2 * time.Second, request: get, goals: []goal{
				{Who: ours, Metric: "requests", To: caddyNow, AtLeast: 1.25}, {Who: ours, Metric: "CPU", To: caddyNow, AtMost: 0.80}}},
		{name: "1,000 a second", text: "The same at 1,000 requests a second in all.", rounds: 5, clients: 50, perSecond: 1000,
			lasts: 3 * time.Second, request: get, goals: []goal{{Who: ours, Metric: "p99", To: caddyNow, AtMost: 1}}},
		{name: "large answers", text: "GET of 100 kB over 50 connections.", rounds: 3, clients: 50, lasts: 2 * time.Second,
			request: request("GET", "/large", host, nil), goals: []goal{{Who: ours, Metric: "requests", To: caddyNow, AtLeast: 1}}},
		{name: "uploads", text: "POST of 1 MB over 16 connections.", rounds: 3, clients: 16, lasts: 2 * time.Second,
			request: request("POST", "/upload", host, megabyte), goals: []goal{{Who: ours, Metric: "requests", To: caddyNow, AtLeast: 1}}},
		{name: "HTTPS", text: "GET of 115 bytes over 50 connections with TLS 1.3.", rounds: 3, clients: 50, lasts: 2 * time.Second, secure: true,
			request: get, goals: []goal{{Who: ours, Metric: "requests", To: caddyNow, AtLeast: 1}}},
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
	var all []*proxied
	for _, c := range contenders() {
		p, err := c.start(ctx, s, upstream)
		if err != nil {
			return err
		}
		s.add(p.end)
		all = append(all, p)
	}
	for _, t := range traffics() {
		w, err := t.measure(ctx, o, all)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		done(*w)
	}
	return nil
}

// measure goes round the contenders, beginning with another one each time.
func (t traffic) measure(ctx context.Context, o choice, all []*proxied) (*work, error) {
	w := &work{Name: "proxy, " + t.name, Text: t.text, Base: caddyNow, Goals: t.goals}
	list := contenders()
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
	if _, err := hammer(ctx, to, t.clients, 200*time.Millisecond, t.request); err != nil { // connections to the upstream are made
		return err
	}
	before, err := p.computed()
	if err != nil {
		return err
	}
	var l *load
	if t.perSecond > 0 {
		l, err = pace(ctx, to, t.clients, t.perSecond, t.lasts, t.request)
	} else {
		l, err = hammer(ctx, to, t.clients, t.lasts, t.request)
	}
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
	if p.process != nil {
		w.add(name, "CPU", "µs/request", float64((after-before).Microseconds())/float64(l.answers))
	}
	return nil
}

// computed is the time that a proxy has computed, if there is one.
func (p *proxied) computed() (time.Duration, error) {
	if p.process == nil {
		return 0, nil
	}
	return p.cpu()
}
