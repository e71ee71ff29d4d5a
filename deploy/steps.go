package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tinyforge/db"
)

// build makes the release of the commit, unless a push asks for the one that serves.
func (j *job) build(ctx context.Context) error {
	if j.dep.RollbackTo != 0 {
		return j.reuse(ctx)
	}
	if j.dep.Cause == db.CauseScale {
		return j.scale()
	}
	if j.dep.Cause == db.CausePush && j.blue != nil && j.blue.Commit == j.dep.Commit {
		return errSkip
	}
	if err := j.checkRoutes(ctx); err != nil {
		return err
	}
	source, ok := j.Sources[j.workload.Source]
	if !ok {
		return &Failure{Text: fmt.Sprintf("Unknown source %q: this Tinyforge knows none of that name", j.workload.Source)}
	}
	if err := source.Validate(j.workload.Config); err != nil {
		return &Failure{Text: "The workload's config is not valid: " + err.Error()}
	}
	strategy, why, err := source.Strategy(j.workload.Config)
	if err != nil {
		return err
	}
	j.dep.Strategy, j.dep.StrategyReason = strategy, why
	if why != "" {
		j.log.Printf("Strategy %s: %s", strategy, why)
	}

	if err := j.room(ctx); err != nil {
		return err
	}
	workspace := workspace{parent: j.Config.Workspace}
	defer workspace.remove()
	id := BuildGreenName(j.workload.Name, j.dep.ID)
	var release db.Release
	err = j.lend(func() (err error) {
		release, err = source.Build(ctx, BuildInput{
			ID: id, Tag: builtTag(j.DB, j.workload.Name, id), Workload: j.workload, Ref: j.dep.Ref, Commit: j.dep.Commit,
			Checkout:     func(ctx context.Context) (string, error) { return j.checkout(ctx, &workspace) },
			RegistryAuth: j.registryAuth,
		}, j.log)
		if err != nil {
			return err
		}
		j.log.Printf("Built %s", strings.Join(release.AllImages(), ", ")) // who knows what it is published as may be able to read it
		release, err = j.publish(ctx, id, release)
		return err
	})
	if err != nil {
		return err
	}
	if j.dep.Cause == db.CausePackage && j.serves(release) {
		j.log.Printf("What the registry has is live already")
		return errSkip
	}
	release.Origin = j.workload.Origin()
	j.adopt(release)
	return nil
}

// publish brings the images of a release that was built to where its runtime finds them.
func (j *job) publish(ctx context.Context, id db.ReleaseID, release db.Release) (db.Release, error) {
	p, ok := j.Runtime.(Publisher)
	if !ok {
		return release, nil
	}
	release.ID, release.WorkloadID, release.Workload, release.DeploymentID = id, j.workload.ID, j.workload.Name, j.dep.ID
	return p.Publish(ctx, release, j.log)
}

// adopt makes a release the one of this deployment.
func (j *job) adopt(release db.Release) {
	release.ID = BuildGreenName(j.workload.Name, j.dep.ID)
	release.WorkloadID, release.Workload = j.workload.ID, j.workload.Name
	release.DeploymentID, release.Commit = j.dep.ID, j.dep.Commit
	j.dep.Release = &release
}

// reuse takes the release of an earlier deployment, as it was, for a rollback, but runs it as often as the workload is to by now,
// where that is of the same runtime. Its strategy is the one it had: the config may be another source's by now.
func (j *job) reuse(ctx context.Context) error {
	old, err := j.DB.Deployment(ctx, j.dep.RollbackTo)
	if err != nil {
		return err
	}
	if old.Release == nil || old.WorkloadID != j.workload.ID {
		return &Failure{Text: fmt.Sprintf("Deployment %d has no release to go back to: redeploy its commit", old.ID)}
	}
	if err := errors.Join(j.checkRoutes(ctx), j.Runtime.Ready(ctx, *old.Release)); err != nil {
		return err
	}
	j.dep.Strategy, j.dep.StrategyReason = anew(old), old.StrategyReason
	release := *old.Release
	if n := j.workload.Replicas(); j.workload.Runtime == release.RuntimeKind() && j.scales(release) && n != max(1, release.Replicas) {
		release.Replicas = n
	}
	j.adopt(release)
	j.learn(release.Secrets())
	j.log.Printf("Going back to the release of deployment %d", old.ID)
	return nil
}

func (j *job) checkout(ctx context.Context, w *workspace) (string, error) {
	if err := j.roomForCheckout(ctx); err != nil {
		return "", err
	}
	dir, err := w.make()
	if err != nil {
		return "", err
	}
	begun := time.Now()
	said, err := j.Fetcher.Fetch(ctx, j.repo, j.dep.Commit, dir)
	if err != nil {
		return "", err
	}
	if j.dep.Message == "" && said.Message != "" { // nobody told us of the commit: its push was found by asking
		j.dep.Message, j.dep.Author = said.Message, said.Author // saved with the next phase
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
	if err := j.hold(ctx, instances); err != nil {
		return err
	}
	for _, i := range instances {
		if err := j.Runtime.Stop(ctx, i.ID); err != nil {
			return err
		}
		j.log.Printf("Stopped %s", i.ID)
	}
	return nil
}

// hold keeps new requests waiting, where the router can, and waits for those in flight to the instances. Where it cannot,
// nobody is let in: the next container may get the address of the one that ends, long before it is ready.
func (j *job) hold(ctx context.Context, instances []Instance) error {
	if j.blue == nil {
		return nil
	}
	routes, err := j.routes(ctx)
	if err != nil {
		return err
	}
	for _, route := range routes {
		if err := j.Router.Hold(ctx, route); errors.Is(err, errors.ErrUnsupported) {
			return j.pointAll(ctx, routes, Upstream{})
		} else if err != nil {
			return fmt.Errorf("hold requests: %w", err)
		}
	}
	for _, route := range routes {
		j.drainFrom(ctx, min(j.Config.Drain, holdDrain), route, instances)
	}
	return nil
}

func (j *job) start(ctx context.Context) error {
	err := j.lend(func() error {
		_, err := j.Runtime.Start(ctx, *j.dep.Release)
		return err
	})
	if err != nil {
		return err
	}
	j.log.Printf("Started %s", j.dep.Release.ID)
	return nil
}

func (j *job) gate(ctx context.Context) error {
	g := gate{runtime: j.Runtime, release: *j.dep.Release, host: j.workload.Host, liveness: j.Config.Liveness}
	begun := time.Now()
	if err := j.lend(func() error { return g.wait(ctx) }); err != nil {
		return err
	}
	j.log.Printf("Ready after %s", time.Since(begun).Round(time.Millisecond))
	return nil
}

func (j *job) route(ctx context.Context) error {
	up, err := j.upstream(ctx, j.dep.Release.ID)
	if err != nil {
		return err
	}
	return j.point(ctx, up)
}

// upstream waits a little for the address of a release that runs: Docker may not know it yet.
func (j *job) upstream(ctx context.Context, id db.ReleaseID) (up Upstream, err error) {
	err = retry(ctx, 4, func() error {
		instance, err := j.Runtime.Inspect(ctx, id)
		switch {
		case err != nil:
			return err
		case instance.State != Running:
			return exited(instance)
		}
		routes, err := j.routes(ctx)
		if err != nil {
			return err
		}
		up, err = known(ctx, j.Router, routes, instance)
		switch {
		case err == nil && up.Addr == "" && instance.Elsewhere != "":
			return &Failure{Text: "It runs, and Swarm does not know any more on which ports: deploy again"}
		case err == nil && up.Addr == "":
			return &Failure{Text: "The container has no address on the network of Tinyforge: was --docker-network changed?"}
		}
		return err
	})
	return up, err
}

// commit has no effect of its own: see job.pass.
func (j *job) commit(context.Context) error { return nil }

// drain waits until nobody is served by an older release any more, bounded. The routes are looked at again before: another
// process may have pointed one back by the rows of before the commit.
func (j *job) drain(ctx context.Context) error {
	routes, err := j.routes(ctx)
	if err != nil {
		return err
	}
	for _, route := range routes {
		if current, err := j.Router.Current(ctx, route); err == nil && current.Name != string(j.dep.Release.ID) {
			if err := j.route(ctx); err != nil {
				return err
			}
		}
	}
	others, err := j.others(ctx, j.dep.Release.ID)
	if err != nil {
		return err
	}
	return j.lend(func() error {
		for _, route := range routes {
			j.drainFrom(ctx, j.Config.Drain, route, others)
		}
		return nil
	})
}

// holdDrain bounds the wait for requests in flight while others are held back: those must not wait for a stream.
const holdDrain = 5 * time.Second

func (j *job) drainFrom(ctx context.Context, limit time.Duration, route db.Route, instances []Instance) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, i := range instances {
		if i.State != Running {
			continue
		}
		if err := j.Router.Drain(ctx, route, Upstream{Name: string(i.ID)}); err != nil && !errors.Is(err, context.Canceled) {
			j.log.Printf("Requests to %s did not end within %s: they were cut", i.ID, limit)
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

// others returns the releases of the workload, whatever their state, without the one named and what is of later deployments: a process
// that lost its lease and was not told yet takes nothing away from them.
func (j *job) others(ctx context.Context, but db.ReleaseID) ([]Instance, error) {
	all, err := j.Runtime.List(ctx)
	var others []Instance
	for _, i := range all {
		if i.WorkloadID == j.workload.ID && i.ID != but && i.DeploymentID <= j.dep.ID {
			others = append(others, i)
		}
	}
	return others, err
}
