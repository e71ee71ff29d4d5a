package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"tinyforge/app/forgetest"
)

// newForge starts a forge.
func newForge(t *testing.T, o forgetest.Options) *forgetest.Server {
	t.Helper()
	forge, err := forgetest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = forge.Close() })
	return forge
}

// clone is the developer's side of a repository that builds on the sample program.
type clone struct {
	*testing.T
	forge      *forgetest.Server
	repository string
	tree       *forgetest.Worktree
}

// newClone makes a repository, and a clone with what sampleRepository says in it.
func newClone(t *testing.T, forge *forgetest.Server, repository string) *clone {
	t.Helper()
	if _, err := forge.CreateRepository(repository, true); err != nil {
		t.Fatal(err)
	}
	tree, err := forge.Clone(t.Context(), repository, filepath.Join(t.TempDir(), "clone"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(tree.Dir, os.DirFS(sampleRepository(t))); err != nil {
		t.Fatal(err)
	}
	return &clone{T: t, forge: forge, repository: repository, tree: tree}
}

// dockerfile runs the sample program with variables that are built in.
func dockerfile(env ...string) string {
	text := "FROM " + sampleImage() + "\nCOPY notes /notes\n"
	for _, variable := range env {
		text += "ENV " + variable + "\n"
	}
	return text
}

// release pushes the Dockerfile of a version to main.
func (c *clone) release(version string, env ...string) (commit string) {
	c.Helper()
	return c.push("Dockerfile", dockerfile(append(env, "VERSION="+version)...))
}

// push commits a file and pushes it to main.
func (c *clone) push(file, text string) (commit string) {
	c.Helper()
	commit = c.commit(file, text)
	c.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
	return commit
}

func (c *clone) commit(file, text string) string {
	c.Helper()
	if err := c.tree.Write(file, text, 0); err != nil {
		c.Fatal(err)
	}
	commit, err := c.tree.Commit(c.Context(), "Change "+file)
	if err != nil {
		c.Fatal(err)
	}
	return commit
}

func (c *clone) git(args ...string) {
	c.Helper()
	if _, err := c.tree.Git(c.Context(), args...); err != nil {
		c.Fatal(err)
	}
}

// ends waits for the last status of a commit and demands that it says this, with these words.
func (c *clone) ends(commit, state string, words ...string) forgetest.Status {
	c.Helper()
	var last forgetest.Status
	await(c.T, "the commit "+commit+" has its last status", func() bool {
		last = c.last(commit)
		return last.State == "success" || last.State == "failure"
	})
	if last.State != state {
		c.Fatalf("%s ended in %s: %s", commit, last.State, last.Description)
	}
	for _, word := range words {
		if !strings.Contains(last.Description, word) {
			c.Errorf("%s says %q, want %q in it", last.State, last.Description, word)
		}
	}
	c.orderly(commit)
	return last
}

// last is the newest status of a commit, or a zero one.
func (c *clone) last(commit string) forgetest.Status {
	all := c.forge.Statuses(c.repository, commit)
	if len(all) == 0 {
		return forgetest.Status{}
	}
	return all[len(all)-1]
}

// orderly demands that a commit was pending and then something else for good, in our context, in words that fit.
func (c *clone) orderly(commit string) {
	c.Helper()
	ended := ""
	for i, s := range c.forge.Statuses(c.repository, commit) {
		length := utf8.RuneCountInString(s.Description)
		if s.Context != "tinyforge" || length == 0 || length > 140 || !strings.Contains(s.TargetURL, "/deployments/") {
			c.Errorf("status %d of %s is %+v", i, commit, s)
		}
		if i == 0 && s.State != "pending" || ended != "" && s.State != ended {
			c.Errorf("status %d of %s is %s after %q", i, commit, s.State, ended)
		}
		if s.State != "pending" {
			ended = s.State
		}
	}
}

// states are what was posted for a commit, in order.
func (c *clone) states(commit string) string {
	var states []string
	for _, s := range c.forge.Statuses(c.repository, commit) {
		states = append(states, s.State)
	}
	return fmt.Sprint(states)
}
