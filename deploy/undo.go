package deploy

import (
	"context"
	"strings"
	"time"

	"tinyforge/db"
)

// undo takes everything back that was done before the commit point: what served before serves again, the failed release
// is gone and its last log lines are kept. It tries for a while; what it cannot do then, the recovery does later.
func (j *job) undo(ctx context.Context) error {
	green := BuildGreenName(j.workload.Name, j.dep.ID)
	j.keepTail(ctx, green)
	serves := false
	err := retry(ctx, 5, func() (err error) {
		if j.dep.Strategy == db.Recreate { // two releases must not run at once
			if err := j.Runtime.Stop(ctx, green); err != nil {
				return err
			}
		}
		if serves, err = j.restore(ctx); err != nil {
			return err
		}
		routes, err := j.routes(ctx)
		if err != nil {
			return err
		}
		for _, route := range routes {
			j.drainFrom(ctx, j.Config.Drain, route, []Instance{{ID: green, State: Running}})
		}
		return j.Runtime.Remove(ctx, green)
	})
	if err == nil && serves {
		j.dep.Error += db.StillServes
	}
	return err
}

// keepTail saves the last log lines of the failed release in its row.
func (j *job) keepTail(ctx context.Context, green db.ReleaseID) {
	lines, err := j.Runtime.Tail(ctx, green)
	if err != nil || len(lines) == 0 {
		return
	}
	tail := j.redactor.Lines(lines)
	j.dep.Tail = strings.ToValidUTF8(strings.ReplaceAll(strings.Join(tail, "\n"), "\x00", ""), "\uFFFD")
	j.log.Printf("Last lines of %s:", green)
	for _, line := range tail {
		j.log.Printf("| %s", line)
	}
}

// restore makes the release in the runtime state row run and the route point to it, and tells whether there is one and it is ready.
func (j *job) restore(ctx context.Context) (serves bool, err error) {
	if j.blue == nil {
		return false, j.pointBack(ctx, Upstream{})
	}
	was, err := j.Runtime.Inspect(ctx, j.blue.ReleaseID)
	if err != nil {
		return false, err
	}
	serves = true
	if was.State != Running || j.mixed() {
		if _, err := j.Runtime.Start(ctx, j.blue.Release); err != nil {
			return false, err
		}
		g := gate{runtime: j.Runtime, release: j.blue.Release, host: j.workload.Host}
		if err := g.accepts(ctx, blueStart); err != nil { // it was good once: better it than nothing
			serves = false
			j.log.Printf("%s was started again but is not ready: %s", j.blue.ReleaseID, userText(j.dep.Phase, err))
		}
		j.log.Printf("Started %s again", j.blue.ReleaseID)
	}
	up, err := j.upstream(ctx, j.blue.ReleaseID)
	if err != nil {
		return false, err
	}
	return serves, j.pointBack(ctx, up)
}

// blueStart bounds the wait for a release that is started again. It was ready once; requests are kept waiting meanwhile.
const blueStart = 30 * time.Second
