package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const scaleName = "scale"

// What a workload of scale has: as many routes, each with a host of its own, and as many deployments.
const (
	scaleRoutes      = 10
	scaleDeployments = 100
)

// The pushes that come to scale, and those who work them off.
const (
	scalePushes  = 500 // a second
	scaleLasts   = 5 * time.Second
	scaleClients = 16
	scaleWorkers = 8
)

// sizes are numbers of workloads, as a flag.
type sizes []int

// String implements flag.Value.
func (s *sizes) String() string {
	var all []string
	for _, n := range *s {
		all = append(all, strconv.Itoa(n))
	}
	return strings.Join(all, ",")
}

// Set implements flag.Value.
func (s *sizes) Set(text string) error {
	*s = nil
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 10 || n > 1_000_000 || len(*s) > 0 && n <= (*s)[len(*s)-1] {
			return fmt.Errorf("%q: write numbers of workloads from 10 on, each larger than the one before, with commas between", text)
		}
		*s = append(*s, n)
	}
	return nil
}

// scaleWorks are the tables of one database.
type scaleWorks struct {
	steps                       sizes
	pushes, deployments, upkeep *work
}

// measureScale lets a Tinyforge grow on each database, and measures it at each size.
func measureScale(ctx context.Context, o choice, s *stage, done func(work)) error {
	steps := slices.Clone(o.sizes)
	if len(steps) == 0 {
		steps = sizes{100, 1000, 10_000}
	}
	site, err := newScaleSite(ctx, s)
	if err != nil {
		return err
	}
	for _, database := range []string{"SQLite", "PostgreSQL"} {
		t, err := site.city(ctx, s, database)
		if err != nil {
			return err
		}
		w := newScaleWorks(database, steps)
		err = t.growAll(ctx, o, s, w)
		for _, one := range []*work{w.pushes, w.deployments, w.upkeep} {
			done(*one) // what there is
		}
		if err != nil {
			return fmt.Errorf("%s, %s: %w", database, t.who(), err)
		}
		t.leave()
	}
	return nil
}

// growAll measures at each size.
func (t *city) growAll(ctx context.Context, o choice, s *stage, w *scaleWorks) error {
	for _, size := range w.steps {
		if err := t.grow(ctx, size); err != nil {
			return fmt.Errorf("grow: %w", err)
		}
		for range o.times(1) {
			if err := t.measure(ctx, s, w); err != nil {
				return err
			}
		}
	}
	return nil
}

func newScaleWorks(database string, steps sizes) *scaleWorks {
	base, top := workloadsOf(steps[0]), workloadsOf(steps[len(steps)-1])
	w := &scaleWorks{
		steps: steps,
		pushes: &work{Name: "scale, pushes, " + database, Curve: true, Base: base, Text: fmt.Sprintf("A Tinyforge that grows. Each workload has a repository, %d routes and %d "+
			"deployments with a delivery each; the newest have logs. Deliveries are %d signed pushes a second for %s, of all repositories in turn, over %d connections to "+
			"tinyforge serve: each is answered when its deployment is queued. Claim is that of a worker, one after the other, with what the pushes have left in the queue.",
			scaleRoutes, scaleDeployments, scalePushes, scaleLasts, scaleClients)},
		deployments: &work{Name: "scale, deployments, " + database, Curve: true, Base: base, Text: fmt.Sprintf("The queue of before is worked off by Tinyforge's deployer, %d at a time, with "+
			"the built-in proxy, and with a runtime that costs nothing: an image is built and a container runs as soon as it is asked for. Routing moves %d routes, on the disk "+
			"too. Swap is one of them, alone. Lost are pushes that were answered and at the end are neither deployed nor superseded by a newer one, nor failed in serve, whose one worker waits for a forge that holds a commit back.", scaleWorkers, scaleRoutes)},
		upkeep: &work{Name: "scale, start and upkeep, " + database, Curve: true, Base: base, Text: fmt.Sprintf("Ready is from exec of tinyforge serve to the first 200 of /readyz, with somebody who "+
			"answers in Docker's place, and memory what it holds %s later, its proxy included. Reconcile is one look at all releases and routes, of which none has to be "+
			"mended, and tidy one look for old images and logs, both with the runtime that costs nothing. The pages are the list of workloads, the page of one, and "+
			"/metrics, each asked for %d times, one after the other: what is not answered after %s counts as that.", scaleSettles, scaleViews, answerPatience)},
	}
	w.pushes.Goals = []goal{{Who: top, Metric: "p50", To: base, AtMost: 2}, {Who: top, Metric: "claim", To: base, AtMost: 2}, {Who: top, Metric: "answered", AtLeast: scalePushes * 0.98}}
	w.deployments.Goals = []goal{{Who: top, Metric: "swap", To: base, AtMost: 2}, {Who: top, Metric: "live", To: base, AtLeast: 0.5}, {Who: top, Metric: "lost", None: true}}
	w.upkeep.Goals = []goal{{Who: top, Metric: "a workload", To: base, AtMost: 2}}
	return w
}

func workloadsOf(size int) string { return thousands(size) + " workloads" }

// measure measures all at the present size.
func (t *city) measure(ctx context.Context, s *stage, w *scaleWorks) error {
	steps := []struct {
		name string
		do   func(context.Context, *stage, *scaleWorks) error
	}{{"start", t.measureServe}, {"claim", t.measureClaims}, {"deploy", t.measureDeployer}}
	for _, step := range steps {
		begun := time.Now()
		if err := step.do(ctx, s, w); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		t.note("%s: %s", step.name, time.Since(begun).Round(100*time.Millisecond))
	}
	return nil
}

// who is the row in the tables.
func (t *city) who() string { return workloadsOf(t.size) }

// note tells how far it is: this takes long.
func (t *city) note(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s, %s, %s\n", time.Now().Format(time.TimeOnly), t.kind, t.who(), fmt.Sprintf(format, args...))
}

// leave removes what it has on the disk.
func (t *city) leave() {
	_ = t.raw.Close()
	_ = os.RemoveAll(t.data)
}

// folder is where the proxy keeps routes.
func (t *city) folder() string { return filepath.Join(t.data, "routes") }
