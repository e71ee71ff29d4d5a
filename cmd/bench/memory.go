package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	settles    = 8 * time.Second
	loadLasts  = 5 * time.Second
	megabyte   = 1 << 20
	serveEmpty = ours + " serve, idle"
	proxyLoad  = ours + " proxy"
)

// measureMemory looks at what processes hold.
func measureMemory(ctx context.Context, o choice, s *stage, done func(work)) error {
	w := &work{Name: "memory, proxies", Base: caddyNow, Text: fmt.Sprintf("The most that each held while 50 connections asked for 115 bytes as fast as they could for %s, by a look each 100 ms. "+
		"RSS is summed up over its processes, so that what several share counts for each; in PSS it is shared out.", loadLasts),
		Goals: []goal{{Who: ours, Metric: "RSS", AtMost: 60}}}
	if err := measureProxiesHold(ctx, o, s, w); err != nil {
		return err
	}
	done(*w)
	w, err := measureServesHold(ctx, o, s)
	if err != nil {
		return err
	}
	done(*w)
	return nil
}

// measureProxiesHold starts each anew in each round.
func measureProxiesHold(ctx context.Context, o choice, s *stage, w *work) error {
	b, err := startBackend(ctx, "", 1, nil)
	if err != nil {
		return err
	}
	s.add(b.kill)
	list := namedContenders(ours, caddyNow, "nginx", "haproxy")
	for round := range o.times(3) {
		for i := range list {
			c := list[(i+round)%len(list)]
			p, err := c.start(ctx, s, b.address)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			rss, pss, err := p.holdsUnderLoad(ctx)
			p.end()
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			w.add(c.name, "RSS", "MB", rss)
			w.add(c.name, "PSS", "MB", pss)
		}
	}
	return nil
}

// holdsUnderLoad returns the most that a proxy held, in MB.
func (p *proxied) holdsUnderLoad(ctx context.Context) (rss, pss float64, err error) {
	type result struct {
		*load
		err error
	}
	ended := make(chan result, 1)
	go func() {
		l, err := hammer(ctx, place{address: p.plain}, 50, loadLasts, request("GET", "/", host, nil))
		ended <- result{l, err}
	}()
	for {
		select {
		case r := <-ended:
			if r.err == nil {
				r.err = r.ok()
			}
			return rss, pss, r.err
		case <-time.After(100 * time.Millisecond):
		}
		now, nowPSS, err := p.holds()
		if err != nil {
			<-ended
			return 0, 0, err
		}
		rss, pss = max(rss, now), max(pss, nowPSS)
	}
}

// measureServesHold looks at tinyforge serve with nothing to do, new and with many workloads.
func measureServesHold(ctx context.Context, o choice, s *stage) (*work, error) {
	t, err := newTown(ctx, s, manyWorkloads)
	if err != nil {
		return nil, err
	}
	w := &work{Name: "memory, serve", Text: fmt.Sprintf("What tinyforge serve holds %s after it was ready, its proxy included, with nothing to do. %s", settles, t.text()),
		Goals: []goal{{Who: serveEmpty, Metric: "RSS", AtMost: 60}, {Who: t.name(), Metric: "RSS", AtMost: 120}}}
	list := []struct{ who, data string }{{serveEmpty, filepath.Join(s.dir, "empty")}, {t.name(), t.data}}
	for round := range o.times(3) + 1 {
		for i := range list {
			l := list[(i+round)%len(list)]
			v, err := s.serve(ctx, l.data, "--docker-host", "unix://"+t.engine.socket)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", l.who, err)
			}
			if round == 0 { // it migrates
				v.stop()
				continue
			}
			rss, pss, err := v.holdsLater(ctx)
			v.stop()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", l.who, err)
			}
			w.add(l.who, "RSS", "MB", rss)
			w.add(l.who, "PSS", "MB", pss)
		}
	}
	return w, nil
}

func (v *serving) holdsLater(ctx context.Context) (rss, pss float64, err error) {
	select {
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	case <-time.After(settles):
	}
	return v.holds()
}

// holds is what its processes hold, in MB.
func (p *process) holds() (rss, pss float64, err error) {
	shared, err := p.memory()
	if err != nil {
		return 0, 0, err
	}
	err = p.each(func(pid string, _ []string) error {
		text, _, _ := strings.Cut(fieldOf("/proc/"+pid+"/status", "VmRSS"), " ")
		kilobytes, err := strconv.ParseFloat(text, 64)
		rss += kilobytes * 1024 / megabyte
		return err
	})
	return rss, float64(shared) / megabyte, err
}
