package deploy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"tinyforge/db"
)

// build makes the release of the commit, unless the commit is what serves.
func (j *job) build(ctx context.Context) error {
	if j.blue != nil && j.blue.Commit == j.dep.Commit {
		return errSkip
	}
	source, ok := j.Sources[j.workload.Source]
	if !ok {
		return &Failure{Text: fmt.Sprintf("Unknown source %q: this Tinyforge knows none of that name", j.workload.Source)}
	}
	if err := source.Validate(j.workload.Config); err != nil {
		return &Failure{Text: "The workload's config is not valid: " + err.Error()}
	}
	strategy, err := source.Strategy(j.workload.Config)
	if err != nil {
		return err
	}
	j.dep.Strategy = strategy

	workspace := workspace{parent: j.Config.Workspace}
	defer workspace.remove()
	id := BuildGreenName(j.workload.Name, j.dep.ID)
	release, err := source.Build(ctx, BuildInput{
		ID: id, Workload: j.workload, Ref: j.dep.Ref, Commit: j.dep.Commit,
		Checkout: func(ctx context.Context) (string, error) { return j.checkout(ctx, &workspace) },
	}, j.log)
	if err != nil {
		return err
	}
	release.ID, release.WorkloadID, release.Workload = id, j.workload.ID, j.workload.Name
	release.DeploymentID, release.Commit = j.dep.ID, j.dep.Commit
	j.dep.Release = &release
	j.log.Printf("Built %s", release.Image)
	return nil
}

func (j *job) checkout(ctx context.Context, w *workspace) (string, error) {
	dir, err := w.make()
	if err != nil {
		return "", err
	}
	begun := time.Now()
	if err := j.Fetcher.Fetch(ctx, j.repo, j.dep.Commit, dir); err != nil {
		return "", err
	}
	j.log.Printf("Fetched %s at %s in %s", j.repo.FullName, j.dep.Commit, time.Since(begun).Round(time.Millisecond))
	return dir, nil
}

// stop ends every other release of the workload, and keeps it for an undo.
func (j *job) stop(ctx context.Context) error {
	instances, err := j.others(ctx, j.dep.Release.ID)
	if err != nil {
		return err
	}
	route, routed := j.workload.Route()
	if routed && j.blue != nil {
		if err := j.Router.Hold(ctx, route); err == nil {
			j.drainFrom(ctx, route, instances)
		} else if !errors.Is(err, errors.ErrUnsupported) {
			return fmt.Errorf("hold requests: %w", err)
		}
	}
	for _, i := range instances {
		if err := j.Runtime.Stop(ctx, i.ID); err != nil {
			return err
		}
		j.log.Printf("Stopped %s", i.ID)
	}
	return nil
}

func (j *job) start(ctx context.Context) error {
	if _, err := j.Runtime.Start(ctx, *j.dep.Release); err != nil {
		return err
	}
	j.log.Printf("Started %s", j.dep.Release.ID)
	return nil
}

func (j *job) gate(ctx context.Context) error {
	g := gate{runtime: j.Runtime, release: *j.dep.Release, host: j.workload.Host, liveness: j.Config.Liveness}
	begun := time.Now()
	if err := g.wait(ctx); err != nil {
		return err
	}
	j.log.Printf("Ready after %s", time.Since(begun).Round(time.Millisecond))
	return nil
}

func (j *job) route(ctx context.Context) error {
	route, routed := j.workload.Route()
	if !routed {
		return nil
	}
	green, err := j.Runtime.Inspect(ctx, j.dep.Release.ID)
	if err != nil {
		return err
	}
	if green.State != Running {
		return exited(green)
	}
	if err := j.Router.Upsert(ctx, route, green.Upstream); err != nil {
		return fmt.Errorf("move route: %w", err)
	}
	j.log.Printf("%s goes to %s", route.Host, green.ID)
	return nil
}

// commit has no effect of its own: see job.enter.
func (j *job) commit(context.Context) error { return nil }

// drain waits until nobody is served by an older release any more, bounded.
func (j *job) drain(ctx context.Context) error {
	route, routed := j.workload.Route()
	if !routed {
		return nil
	}
	others, err := j.others(ctx, j.dep.Release.ID)
	if err != nil {
		return err
	}
	j.drainFrom(ctx, route, others)
	return nil
}

func (j *job) drainFrom(ctx context.Context, route db.Route, instances []Instance) {
	ctx, cancel := context.WithTimeout(ctx, j.Config.Drain)
	defer cancel()
	for _, i := range instances {
		if i.State != Running {
			continue
		}
		if err := j.Router.Drain(ctx, route, Upstream{Name: string(i.ID)}); err != nil && !errors.Is(err, context.Canceled) {
			j.log.Printf("Requests to %s did not end within %s: they were cut", i.ID, j.Config.Drain)
		}
	}
}

// reap removes every release of the workload but the one that serves. It asks what exists instead of remembering it.
func (j *job) reap(ctx context.Context) error {
	return retry(ctx, 3, func() error {
		others, err := j.others(ctx, j.dep.Release.ID)
		for _, i := range others {
			if err = j.Runtime.Remove(ctx, i.ID); err != nil {
				return err
			}
			j.log.Printf("Removed %s", i.ID)
		}
		return err
	})
}

// others returns the releases of the workload, whatever their state, without the one named.
func (j *job) others(ctx context.Context, but db.ReleaseID) ([]Instance, error) {
	all, err := j.Runtime.List(ctx)
	var others []Instance
	for _, i := range all {
		if i.WorkloadID == j.workload.ID && i.ID != but {
			others = append(others, i)
		}
	}
	return others, err
}

// workspace is a temporary folder that is made when it is first needed.
type workspace struct{ parent, dir string }

func (w *workspace) make() (dir string, err error) {
	if w.dir == "" {
		if w.dir, err = os.MkdirTemp(w.parent, "checkout-"); err != nil {
			return "", &Failure{Text: "There is no room for a checkout: " + w.parent, Err: err}
		}
	}
	return w.dir, nil
}

func (w *workspace) remove() {
	if w.dir != "" {
		_ = os.RemoveAll(w.dir) // the next start empties the workspace
	}
}
