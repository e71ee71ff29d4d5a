package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tinyforge/deploy"
)

const (
	redeployRounds = 5
	caddyLater     = "caddy PATCH, killed after 100 ms"
)

// measureRedeploy replaces the program behind each contender again and again while requests come.
func measureRedeploy(ctx context.Context, o choice, s *stage, done func(work)) error {
	var sites []*site
	for _, w := range ways(o) {
		one, err := openSite(ctx, s, w)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		sites = append(sites, one)
	}
	for _, measure := range []func(context.Context, choice, []*site) ([]work, error){measureReplacing, measureRecreate, measureStreams} {
		works, err := measure(ctx, o, sites)
		if err != nil {
			return err
		}
		for _, w := range works {
			done(w)
		}
	}
	return nil
}

// inTurn goes round sites, beginning with another one each time.
func inTurn(rounds int, sites []*site, f func(*site) error) error {
	for round := range rounds {
		for i := range sites {
			one := sites[(i+round)%len(sites)]
			if err := f(one); err != nil {
				return fmt.Errorf("%s: %w", one.name, err)
			}
		}
	}
	return nil
}

func measureReplacing(ctx context.Context, o choice, sites []*site) ([]work, error) {
	safe := work{Name: "redeploy", Text: `500 requests a second all the time: 200 GET over connections that are kept, 100 GET over one of its own each, and 200 POST of
4 kB to a handler that takes 30 ms. Each swap: a new program answers a check, the contender is told, and the old program is killed
with all its connections: by Tinyforge once it has answered all, else after a fixed time. No request is sent twice, and none over a
connection that was seen closed; everything else that is not a 200 counts as failed. Mixed: the longest time from the first answer of a
new program to the last answer of an old one to a request sent after that. Swap: what was under way in the 200 ms after the new
program was healthy; steady: all the rest.`,
		Goals: []goal{{Who: ours, Metric: "failed", None: true}, {Who: ours, Metric: "mixed", None: true}, {Who: ours, Metric: "p99 GET, swap / steady", AtMost: 1.2}}}
	fast := work{Name: "redeploy, times", Text: `Of the same swaps: from the check's answer to the first request at the new program; what it took to tell the contender
(nginx: to write its configuration and signal it); and for how long the old program was kept from then on (Tinyforge: the drain).`,
		Base: caddyLater, Goals: []goal{{Who: ours, Metric: "first request", AtMost: 3}}}
	err := inTurn(o.times(redeployRounds), sites, func(one *site) error {
		visits, swaps, err := one.round(ctx, one.swaps)
		if err != nil {
			return err
		}
		note(&safe, one.name, visits, swaps)
		noteTimes(&fast, one.name, swaps)
		return nil
	})
	return []work{safe, fast}, err
}

func note(w *work, who string, visits []visit, swaps []swap) {
	failed, why := failures(visits)
	w.remarkFailure(who, why)
	swapping, steady := delays(visits, swaps, warmTime)
	w.add(who, "swaps", "number", float64(len(swaps)))
	w.add(who, "requests", "number", float64(len(visits)))
	w.add(who, "failed", "number", float64(failed))
	if len(swaps) > 0 {
		w.add(who, "failed in 100", "number", 100*float64(failed)/float64(len(swaps)))
	}
	w.add(who, "mixed", "ms", milliseconds(mixed(visits, swaps)))
	if len(steady) > 0 && len(swapping) > 0 { // not all failed
		w.add(who, "p99 GET, steady", "ms", percentile(steady, 99))
		w.add(who, "p99 GET, swap / steady", "ratio", percentile(swapping, 99)/percentile(steady, 99))
	}
}

// remarkFailure adds the first failure of somebody to the text.
func (w *work) remarkFailure(who string, why error) {
	if why != nil {
		w.remark("First failure of "+who+": ", why.Error()+".")
	}
}

func noteTimes(w *work, who string, swaps []swap) {
	var first, command, kept []float64
	for _, s := range swaps {
		first = append(first, milliseconds(s.first-s.healthy))
		command = append(command, milliseconds(s.command))
		kept = append(kept, milliseconds(s.killed-s.healthy-s.command))
	}
	w.add(who, "first request", "ms", percentile(first, 50))
	w.add(who, "the longest", "ms", slices.Max(first))
	w.add(who, "command", "ms", percentile(command, 50))
	w.add(who, "old one kept", "ms", percentile(kept, 50))
}

const (
	recreations = 4                      // in a round
	recreateFor = 300 * time.Millisecond // until the new program can be started, as a container takes
)

// measureRecreate replaces a program that must not run twice: its requests are held meanwhile.
func measureRecreate(ctx context.Context, o choice, sites []*site) ([]work, error) {
	w := work{Name: "redeploy, recreate", Text: fmt.Sprintf(`The same load, but the old program is killed before the new one is started, %d ms later, %d times a round. Requests are
held from before the old one has answered all until the new one is healthy. Start: from the kill until then. Wait: the longest of a
request, without the 30 ms of the handler.`, recreateFor.Milliseconds(), recreations), Goals: []goal{{Who: ours, Metric: "failed", None: true}, {Who: ours, Metric: "wait / start", AtMost: 1.2}}}
	i := slices.IndexFunc(sites, func(one *site) bool { return one.name == ours })
	err := inTurn(o.times(redeployRounds), sites[i:i+1], func(one *site) error {
		v := invite(ctx, place{address: one.plain})
		starts, err := one.recreations(ctx)
		visits := v.end()
		if err != nil {
			return err
		}
		failed, why := failures(visits)
		w.remarkFailure(one.name, why)
		wait := milliseconds(longestWait(visits))
		w.add(one.name, "requests", "number", float64(len(visits)))
		w.add(one.name, "failed", "number", float64(failed))
		w.add(one.name, "start", "ms", slices.Max(starts))
		w.add(one.name, "wait", "ms", wait)
		w.add(one.name, "wait / start", "ratio", wait/slices.Max(starts))
		return nil
	})
	return []work{w}, err
}

// recreations returns how long the starts took, in milliseconds.
func (s *site) recreations(ctx context.Context) (starts []float64, err error) {
	for range recreations {
		if err := deploy.Sleep(ctx, restTime); err != nil {
			return nil, err
		}
		took, err := s.recreate(ctx)
		if err != nil {
			return nil, fmt.Errorf("recreate: %w", err)
		}
		starts = append(starts, milliseconds(took))
	}
	return starts, deploy.Sleep(ctx, restTime)
}

// recreate does it as a deployment does.
func (s *site) recreate(ctx context.Context) (start time.Duration, err error) {
	if err := s.client.Hold(ctx, route(host)); err != nil {
		return 0, err
	}
	if err := s.part(ctx, s.current, drainTime); err != nil {
		return 0, err
	}
	s.current.kill()
	begun := time.Now()
	if err := deploy.Sleep(ctx, recreateFor); err != nil {
		return 0, err
	}
	next, err := startRelease(ctx, s.current.version+1)
	if err != nil {
		return 0, err
	}
	s.current = next
	if err := next.check(ctx); err != nil {
		return 0, err
	}
	start = time.Since(begun)
	return start, s.lead(ctx, next.version, next.address)
}
