package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"tinyforge/db"
)

// Publisher is a Runtime whose releases need their images elsewhere than where they were built.
type Publisher interface {
	// Publish brings the images of a release to where Start finds them, and returns the release with the names that they have there.
	// Repeating it is harmless. What it writes to log is shown to the user.
	Publish(ctx context.Context, r db.Release, log io.Writer) (db.Release, error)
}

// Scaler is a Runtime that can run a release several times. Start of a release that runs already, with other Replicas, changes how often
// it does, and leaves those be that stay.
type Scaler interface {
	// Scales tells whether it can of this one.
	Scales(r db.Release) bool
}

// Runtimes are several runtimes as one, by the kind that a release names. A release is in one of them at a time; that of a workload's
// next release may be another, which is how a workload moves. It is safe for concurrent use where they are.
type Runtimes map[string]Runtime

// of is the runtime of a release.
func (rs Runtimes) of(r db.Release) (Runtime, error) {
	if rt, ok := rs[r.RuntimeKind()]; ok {
		return rt, nil
	}
	return nil, &Failure{Text: fmt.Sprintf("This Tinyforge has no runtime %q, only %s: set runtime in the workload's config to one of them",
		r.RuntimeKind(), strings.Join(rs.Kinds(), " and "))}
}

// Kinds are those that there are, sorted.
func (rs Runtimes) Kinds() []string { return slices.Sorted(maps.Keys(rs)) }

// Start implements Runtime.
func (rs Runtimes) Start(ctx context.Context, r db.Release) (Instance, error) {
	rt, err := rs.of(r)
	if err != nil {
		return Instance{}, err
	}
	return rt.Start(ctx, r)
}

// Ready implements Runtime.
func (rs Runtimes) Ready(ctx context.Context, r db.Release) error {
	rt, err := rs.of(r)
	if err != nil {
		return err
	}
	return rt.Ready(ctx, r)
}

// Publish implements Publisher: a runtime that is none needs nothing done.
func (rs Runtimes) Publish(ctx context.Context, r db.Release, log io.Writer) (db.Release, error) {
	rt, err := rs.of(r)
	if err != nil {
		return r, err
	}
	if p, ok := rt.(Publisher); ok {
		return p.Publish(ctx, r, log)
	}
	return r, nil
}

// Scales implements Scaler.
func (rs Runtimes) Scales(r db.Release) bool {
	s, ok := rs[r.RuntimeKind()].(Scaler)
	return ok && s.Scales(r)
}

// Stop implements Runtime.
func (rs Runtimes) Stop(ctx context.Context, id db.ReleaseID) error {
	return rs.where(ctx, id, func(rt Runtime) error { return rt.Stop(ctx, id) })
}

// Remove implements Runtime.
func (rs Runtimes) Remove(ctx context.Context, id db.ReleaseID) error {
	return rs.where(ctx, id, func(rt Runtime) error { return rt.Remove(ctx, id) })
}

// where does what is to be done with a release where it is; where none shows it, everywhere, since one that is being removed is not
// shown. A runtime that does not answer matters only to a release that no other one has.
func (rs Runtimes) where(ctx context.Context, id db.ReleaseID, do func(Runtime) error) error {
	for _, kind := range rs.Kinds() {
		if in, err := rs[kind].Inspect(ctx, id); err == nil && in.State != Missing {
			return do(rs[kind])
		}
	}
	var errs []error
	for _, kind := range rs.Kinds() {
		errs = append(errs, do(rs[kind]))
	}
	return errors.Join(errs...)
}

// Inspect implements Runtime.
func (rs Runtimes) Inspect(ctx context.Context, id db.ReleaseID) (Instance, error) {
	var errs []error
	for _, kind := range rs.Kinds() {
		in, err := rs[kind].Inspect(ctx, id)
		if err == nil && in.State != Missing {
			return in, nil
		}
		errs = append(errs, err)
	}
	return Instance{ID: id, State: Missing}, errors.Join(errs...)
}

// Tail implements Runtime.
func (rs Runtimes) Tail(ctx context.Context, id db.ReleaseID) (lines []string, err error) {
	err = rs.where(ctx, id, func(rt Runtime) error {
		more, err := rt.Tail(ctx, id)
		lines = append(lines, more...)
		return err
	})
	return lines, err
}

// RemoveVolumes implements Runtime.
func (rs Runtimes) RemoveVolumes(ctx context.Context, workload string) error {
	var errs []error
	for _, kind := range rs.Kinds() {
		errs = append(errs, rs[kind].RemoveVolumes(ctx, workload))
	}
	return errors.Join(errs...)
}

// Away is the error of a list that is without some kinds: what they have is not to be taken for absent.
type Away struct {
	Kinds []string
	Err   error
}

func (a *Away) Error() string {
	return fmt.Sprintf("workloads on %s are left as they are until it answers: %v", strings.Join(a.Kinds, " and "), a.Err)
}

func (a *Away) Unwrap() error { return a.Err }

// List implements Runtime. Where some of them fail it returns what the others have, and *Away.
func (rs Runtimes) List(ctx context.Context) (all []Instance, err error) {
	away := &Away{}
	for _, kind := range rs.Kinds() {
		list, err := rs[kind].List(ctx)
		if err != nil {
			away.Kinds, away.Err = append(away.Kinds, kind), errors.Join(away.Err, err)
		}
		all = append(all, list...)
	}
	if away.Err != nil {
		return all, away
	}
	return all, nil
}

// within is rt, or of Runtimes those kinds, where it has them all: others may be away then.
func within(rt Runtime, kinds []string) Runtime {
	all, several := rt.(Runtimes)
	some := Runtimes{}
	for _, kind := range kinds {
		some[kind] = all[kind]
		several = several && all[kind] != nil
	}
	if !several || len(some) == 0 {
		return rt
	}
	return some
}

// Watch implements Runtime. Events may be missed of each of them: changed is called with "" once for each.
func (rs Runtimes) Watch(ctx context.Context, changed func(db.ReleaseID)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	one := func(id db.ReleaseID) {
		mu.Lock()
		defer mu.Unlock()
		changed(id)
	}
	ended := make(chan error, len(rs))
	for _, rt := range rs {
		go func() {
			defer cancel() // one that cannot go on is the end of all
			ended <- rt.Watch(ctx, one)
		}()
	}
	var errs []error
	for range rs {
		errs = append(errs, <-ended)
	}
	return errors.Join(errs...)
}
