package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"tinyforge/db"
	"tinyforge/deploy"
)

// freeRuntime is a runtime that costs nothing: what is started runs, at the address of one program that is always there. It is the
// source, the images and the forge of its releases too.
type freeRuntime struct {
	address string

	mu  sync.Mutex
	all map[db.ReleaseID]deploy.Instance
}

// runsAt notes a release that runs.
func (f *freeRuntime) runsAt(id db.ReleaseID, workload, deployment int64, address string) deploy.Instance {
	f.mu.Lock()
	defer f.mu.Unlock()
	in := deploy.Instance{ID: id, WorkloadID: workload, DeploymentID: deployment, State: deploy.Running, Upstream: deploy.Upstream{Name: string(id), Addr: address, Port: 8080}}
	f.all[id] = in
	return in
}

// Start implements deploy.Runtime.
func (f *freeRuntime) Start(_ context.Context, r db.Release) (deploy.Instance, error) {
	return f.runsAt(r.ID, r.WorkloadID, r.DeploymentID, f.address), nil
}

// Ready implements deploy.Runtime.
func (f *freeRuntime) Ready(context.Context, db.Release) error { return nil }

// Stop implements deploy.Runtime.
func (f *freeRuntime) Stop(_ context.Context, id db.ReleaseID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if in, found := f.all[id]; found {
		in.State, in.Upstream = deploy.Exited, deploy.Upstream{}
		f.all[id] = in
	}
	return nil
}

// Remove implements deploy.Runtime.
func (f *freeRuntime) Remove(_ context.Context, id db.ReleaseID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.all, id)
	return nil
}

// RemoveVolumes implements deploy.Runtime.
func (f *freeRuntime) RemoveVolumes(context.Context, string) error { return nil }

// Inspect implements deploy.Runtime.
func (f *freeRuntime) Inspect(_ context.Context, id db.ReleaseID) (deploy.Instance, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if in, found := f.all[id]; found {
		return in, nil
	}
	return deploy.Instance{ID: id, State: deploy.Missing}, nil
}

// Tail implements deploy.Runtime.
func (f *freeRuntime) Tail(context.Context, db.ReleaseID) ([]string, error) { return nil, nil }

// List implements deploy.Runtime.
func (f *freeRuntime) List(context.Context) ([]deploy.Instance, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]deploy.Instance, 0, len(f.all))
	for _, in := range f.all {
		list = append(list, in)
	}
	return list, nil
}

// Watch implements deploy.Runtime.
func (f *freeRuntime) Watch(ctx context.Context, _ func(db.ReleaseID)) error {
	<-ctx.Done()
	return nil
}

// Validate implements deploy.Source.
func (f *freeRuntime) Validate(json.RawMessage) error { return nil }

// Strategy implements deploy.Source.
func (f *freeRuntime) Strategy(json.RawMessage) (db.Strategy, string, error) {
	return db.BlueGreen, "", nil
}

// Build implements deploy.Source.
func (f *freeRuntime) Build(_ context.Context, in deploy.BuildInput, _ io.Writer) (db.Release, error) {
	return db.Release{Image: "sha256:" + fmt.Sprintf("%064s", in.Commit), Port: 8080, Env: in.Workload.Env, Healthcheck: residentCheck()}, nil
}

// FreeSpace implements deploy.Images.
func (f *freeRuntime) FreeSpace(context.Context) (int64, error) { return 1 << 40, nil }

// PruneImages implements deploy.Images.
func (f *freeRuntime) PruneImages(ctx context.Context, keep func(context.Context) (deploy.Kept, error)) ([]string, error) {
	_, err := keep(ctx)
	return nil, err
}

// PruneBuildCache implements deploy.Images.
func (f *freeRuntime) PruneBuildCache(context.Context) error { return nil }

// Fetch implements deploy.Fetcher.
func (f *freeRuntime) Fetch(context.Context, db.Repository, string, string) (db.CommitText, error) {
	return db.CommitText{}, nil
}
