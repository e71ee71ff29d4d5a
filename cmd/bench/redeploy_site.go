package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"tinyforge/deploy"
)

const (
	warmTime  = 500 * time.Millisecond // from the begin of the load to the first swap
	restTime  = 500 * time.Millisecond // from the end of a swap to the next
	anyTime   = 10 * time.Millisecond  // at most, beside that: a swap is to come at any time between two requests of the load
	drainTime = 20 * time.Second       // at most: nothing of the load takes as long
)

// site is a contender with the release that it leads to.
type site struct {
	way
	*proxied
	lead    leader
	current *release
}

// release is a version of the program behind a contender.
type release struct {
	*backend
	version int64
	healthy atomic.Bool
	first   chan time.Time // of the first request after it was healthy
}

func startRelease(ctx context.Context, version int64) (r *release, err error) {
	r = &release{version: version, first: make(chan time.Time, 1)}
	r.backend, err = startBackend(ctx, "", version, func() {
		if r.healthy.Load() {
			select {
			case r.first <- time.Now():
			default:
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("start release: %w", err)
	}
	return r, nil
}

// check asks a release whether it serves, as a gate does, and notes that it is healthy.
func (r *release) check(ctx context.Context) error {
	a, err := ask(ctx, r.address, request("GET", "/up", host, nil))
	if err == nil && a.status != 200 {
		err = fmt.Errorf("answered %d", a.status)
	}
	if err != nil {
		return fmt.Errorf("check release: %w", err)
	}
	r.healthy.Store(true)
	return nil
}

// openSite starts a contender with its first release. Both end with the stage.
func openSite(ctx context.Context, s *stage, w way) (*site, error) {
	first, err := startRelease(ctx, 1)
	if err != nil {
		return nil, err
	}
	one := &site{way: w, current: first}
	s.add(func() { one.current.kill() })
	if one.proxied, one.lead, err = w.start(ctx, s, first.address); err != nil {
		return nil, err
	}
	s.add(one.end)
	return one, nil
}

// replace starts the next release and leads the site to it, waits at most for limit until the old one may go, and kills that.
// Times are since begun.
func (s *site) replace(ctx context.Context, begun time.Time, limit time.Duration) (one swap, err error) {
	next, err := startRelease(ctx, s.current.version+1)
	if err != nil {
		return one, err
	}
	if err := next.check(ctx); err != nil {
		next.kill()
		return one, err
	}
	old := s.current
	s.current = next
	defer old.kill()
	one = swap{version: next.version, healthy: time.Since(begun)}
	if err := s.lead(ctx, next.version, next.address); err != nil {
		return one, err
	}
	one.command = time.Since(begun) - one.healthy
	if err := s.part(ctx, old, limit); err != nil {
		return one, err
	}
	old.kill()
	one.killed = time.Since(begun)
	return one, nil
}

// part waits until an old release may go: until it has answered all, or for as long as is usual where nobody can tell. What goes on
// longer than limit is ended, which is no error.
func (s *site) part(ctx context.Context, old *release, limit time.Duration) error {
	if s.client == nil {
		return deploy.Sleep(ctx, min(s.settle, limit))
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := s.client.Drain(limited, route(host), deploy.Upstream{Name: releaseName(old.version)})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil
	}
	return err
}

// awaitFirst waits until a request has come to the release that serves.
func (s *site) awaitFirst(ctx context.Context, begun time.Time) (time.Duration, error) {
	select {
	case then := <-s.current.first:
		return then.Sub(begun), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(answerPatience):
		return 0, errors.New("no request comes to the new release")
	}
}

// round sends the load all the time and replaces the release so many times.
func (s *site) round(ctx context.Context, swaps int) (visits []visit, done []swap, err error) {
	v := invite(ctx, place{address: s.plain})
	defer func() { visits = v.end() }()
	if err := deploy.Sleep(ctx, warmTime); err != nil {
		return nil, nil, err
	}
	for range swaps {
		one, err := s.replace(ctx, v.begun, drainTime)
		if err != nil {
			return nil, nil, fmt.Errorf("swap: %w", err)
		}
		if one.first, err = s.awaitFirst(ctx, v.begun); err != nil {
			return nil, nil, err
		}
		if err := deploy.Sleep(ctx, restTime+rand.N(anyTime)); err != nil { //nolint:gosec // no secret
			return nil, nil, err
		}
		done = append(done, one)
	}
	return nil, done, nil
}
