package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"tinyforge/app/forgetest"
	"tinyforge/deploy/deploytest"
)

// site is the developer's side: a clone of a repository with a program and its Dockerfile.
type site struct {
	repository string
	forge      *forgetest.Server
	tree       *forgetest.Worktree
}

// result is what became of a push.
type result struct {
	repository string
	version    int
	commit     string
	took       time.Duration // from git push to the last status
	statuses   []forgetest.Status
}

// last is the newest status.
func (r result) last() forgetest.Status {
	if len(r.statuses) == 0 {
		return forgetest.Status{}
	}
	return r.statuses[len(r.statuses)-1]
}

func newSite(ctx context.Context, forge *forgetest.Server, dir string) (*site, error) {
	s := &site{repository: "acme/hello", forge: forge}
	if _, err := forge.CreateRepository(s.repository, true); err != nil {
		return nil, err
	}
	tree, err := forge.Clone(ctx, s.repository, dir)
	s.tree = tree
	return s, err
}

// push commits and pushes a version and waits for what the forge is told of it.
func (s *site) push(ctx context.Context, version int, more string) (result, error) {
	name := fmt.Sprintf("version %d", version)
	if err := deploytest.BuildSample(ctx, filepath.Join(s.tree.Dir, "sampleapp"), name); err != nil {
		return result{}, err
	}
	dockerfile := "FROM scratch\nCOPY sampleapp /sampleapp\n" + more + "ENTRYPOINT [\"/sampleapp\"]\n"
	if err := s.tree.Write("Dockerfile", dockerfile, 0); err != nil {
		return result{}, err
	}
	commit, err := s.tree.Commit(ctx, name)
	if err != nil {
		return result{}, err
	}
	begun := time.Now()
	if err := s.tree.Push(ctx, "HEAD:refs/heads/main"); err != nil {
		return result{}, err
	}
	r := result{repository: s.repository, version: version, commit: commit}
	err = s.follow(ctx, &r, begun)
	return r, err
}

// follow prints each status as the forge gets it, up to the last one.
func (s *site) follow(ctx context.Context, r *result, begun time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for {
		statuses := s.forge.Statuses(s.repository, r.commit)
		for _, status := range statuses[len(r.statuses):] {
			r.took = status.At.Sub(begun)
			say("  %5.1f s  %s  %s: %s", r.took.Seconds(), r.commit[:7], status.State, status.Description)
		}
		r.statuses = statuses
		if state := r.last().State; state != "" && state != "pending" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the status of %s: %w", r.commit, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
