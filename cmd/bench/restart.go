package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"tinyforge/deploy"
)

const restartRounds = 9

// restarted is a contender with so many sites, all at the same program.
type restarted struct {
	name    string
	sites   int
	address string
	start   func() (*process, error) // with the same configuration and the same address each time
	now     *process                 // that runs, nil for none
}

// farm makes a contender that keeps so many sites, and does not run.
type farm func(ctx context.Context, s *stage, sites int, upstream string) (*restarted, error)

// measureRestart kills each contender and starts it at once.
func measureRestart(ctx context.Context, o choice, s *stage, done func(work)) error {
	behind, err := startBackend(ctx, "", 1, nil)
	if err != nil {
		return err
	}
	s.add(behind.kill)
	var all []*restarted
	for _, sites := range []int{1, 10, 1000} {
		for _, f := range []farm{farmOurs, farmNginx, farmHAProxy, farmCaddy} {
			r, err := f(ctx, s, sites, behind.address)
			if err != nil {
				return err
			}
			s.add(r.kill)
			if _, _, err := r.again(ctx); err != nil {
				return fmt.Errorf("%s with %d routes: %w", r.name, sites, err)
			}
			all = append(all, r)
		}
	}
	w := work{Name: "restart", Text: `kill -9, and the start at once with the same options: from exec to the first 200 on the last route, which is asked for every
millisecond. Wrong: what else was answered meanwhile, 404 and 503.`, Base: caddyNow, Goals: []goal{
		{Who: ours, Metric: routes(1000), AtMost: 40}, {Who: ours, Metric: "wrong", None: true}}}
	for round := range o.times(restartRounds) {
		wrongs := map[string]int{}
		for i := range all {
			r := all[(i+round)%len(all)]
			took, wrong, err := r.again(ctx)
			if err != nil {
				return fmt.Errorf("%s with %d routes: %w", r.name, r.sites, err)
			}
			w.add(r.name, routes(r.sites), "ms", milliseconds(took))
			wrongs[r.name] += wrong
		}
		for _, who := range slices.Sorted(maps.Keys(wrongs)) {
			w.add(who, "wrong", "number", float64(wrongs[who]))
		}
	}
	done(w)
	return nil
}

// routes is the name of a metric.
func routes(n int) string { return fmt.Sprintf("first 200 with %d", n) }

// siteName is the n-th host, from 0 on.
func siteName(n int) string { return fmt.Sprintf("site-%04d.%s", n, host) }

func (r *restarted) kill() {
	if r.now != nil {
		r.now.kill()
		r.now = nil
	}
}

// again kills the contender, starts it, and waits until the last site answers.
func (r *restarted) again(ctx context.Context) (took time.Duration, wrong int, err error) {
	r.kill()
	if err := r.refuses(ctx); err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	if r.now, err = r.start(); err != nil {
		return 0, 0, err
	}
	text := request("GET", "/", siteName(r.sites-1), nil, "Connection: close")
	for time.Since(begun) < answerPatience {
		a, err := ask(ctx, r.address, text)
		switch {
		case err == nil && a.status == 200 && a.version == 1:
			return time.Since(begun), wrong, nil
		case err == nil:
			wrong++
		}
		select {
		case <-r.now.done:
			return 0, 0, fmt.Errorf("%s ended: %s", r.name, r.now.said())
		default:
		}
		if err := deploy.Sleep(ctx, time.Millisecond); err != nil {
			return 0, 0, err
		}
	}
	return 0, 0, fmt.Errorf("the last site does not answer: %s", r.now.said())
}

// refuses waits until nobody listens any more: what a killed process has started ends a little later than itself.
func (r *restarted) refuses(ctx context.Context) error {
	for deadline := time.Now().Add(answerPatience); time.Now().Before(deadline); {
		c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", r.address)
		if err != nil {
			return nil
		}
		_ = c.Close()
		if err := deploy.Sleep(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("it listens although it was killed")
}
