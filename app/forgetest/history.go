package forgetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

const zeroID = "0000000000000000000000000000000000000000"

// ref is what a full ref name points to.
type ref struct {
	Object string // for an annotated tag, the tag object
	Commit string
}

// refs are the branches and tags of a repository at one moment, by full name.
type refs map[string]ref

// update is a change of one ref. Before and After are zeroID where there is no ref.
type update struct {
	Ref            string
	Before, After  string
	Commit         string // that After means; "" for a deletion
	PreviousCommit string // that Before means; "" for a creation
}

func (u update) created() bool { return u.Before == zeroID }
func (u update) deleted() bool { return u.After == zeroID }
func (u update) tag() bool     { return strings.HasPrefix(u.Ref, "refs/tags/") }

func (u update) refType() string {
	if u.tag() {
		return "tag"
	}
	return "branch"
}

// shortRef is the name of the branch or tag.
func (u update) shortRef() string {
	return strings.TrimPrefix(strings.TrimPrefix(u.Ref, "refs/heads/"), "refs/tags/")
}

// updates returns what leads from rs to after, by name.
func (rs refs) updates(after refs) []update {
	names := maps.Clone(rs)
	maps.Copy(names, after)
	var all []update
	for _, name := range slices.Sorted(maps.Keys(names)) {
		old, had := rs[name]
		now, has := after[name]
		u := update{Ref: name, Before: zeroID, After: zeroID, Commit: now.Commit, PreviousCommit: old.Commit}
		if had {
			u.Before = old.Object
		}
		if has {
			u.After = now.Object
		}
		if u.Before != u.After {
			all = append(all, u)
		}
	}
	return all
}

func (s *Server) refs(ctx context.Context, id int64) (refs, error) {
	out, err := s.git.run(ctx, s.gitDir(id), nil, "for-each-ref",
		"--format=%(refname) %(objectname) %(*objectname)", "refs/heads/", "refs/tags/")
	if err != nil {
		return nil, fmt.Errorf("read refs: %w", err)
	}
	rs := refs{}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		rs[fields[0]] = ref{Object: fields[1], Commit: fields[len(fields)-1]}
	}
	return rs, nil
}

// push is one git push.
type push struct {
	history history
	before  refs
	updates []update
}

// person is an author or committer.
type person struct{ Name, Email string }

// commit is a commit with the paths it changes against its first parent; a rename is a removal and an addition.
type commit struct {
	ID, Tree                 string
	Message                  string
	Author, Committer        person
	At                       time.Time
	Added, Modified, Removed []string
}

// history reads the commits of one repository.
type history struct {
	ctx context.Context
	git gitCommand
	dir string
}

// list returns the newest commits, at most limit, that are reached from the revisions: "b", "^a".
func (h history) list(limit int, revisions ...string) ([]commit, error) {
	mark := randomHex(16)
	args := []string{
		"log", "-z", "--max-count=" + strconv.Itoa(limit), "--topo-order", "--name-status", "--no-renames",
		"--diff-merges=first-parent", "--format=" + mark + "%H%x00%T%x00%an%x00%ae%x00%cn%x00%ce%x00%cI%x00%B%x00",
	}
	args = append(append(args, revisions...), "--")
	out, err := h.git.run(h.ctx, h.dir, nil, args...)
	if err != nil {
		return nil, err
	}
	var commits []commit
	for _, part := range strings.Split(out, mark)[1:] {
		c, err := parseCommit(part)
		if err != nil {
			return nil, err
		}
		commits = append(commits, c)
	}
	return commits, nil
}

func parseCommit(s string) (commit, error) {
	f := strings.Split(s, "\x00")
	const header = 8
	if len(f) < header {
		return commit{}, fmt.Errorf("parse git log: %d fields", len(f))
	}
	at, err := time.Parse(time.RFC3339, f[6])
	if err != nil {
		return commit{}, fmt.Errorf("parse git log: %w", err)
	}
	c := commit{
		ID: f[0], Tree: f[1], Author: person{f[2], f[3]}, Committer: person{f[4], f[5]}, At: at, Message: f[7],
		Added: []string{}, Modified: []string{}, Removed: []string{},
	}
	changes := slices.DeleteFunc(f[header:], func(s string) bool { return s == "" || s == "\n" })
	for pair := range slices.Chunk(changes, 2) {
		if len(pair) == 2 {
			c.change(strings.TrimSpace(pair[0]), pair[1])
		}
	}
	return c, nil
}

func (c *commit) change(status, path string) {
	switch status {
	case "A":
		c.Added = append(c.Added, path)
	case "D":
		c.Removed = append(c.Removed, path)
	default:
		c.Modified = append(c.Modified, path)
	}
}

// one returns a single commit.
func (h history) one(id string) (commit, error) {
	all, err := h.list(1, id)
	if err != nil {
		return commit{}, err
	}
	if len(all) == 0 {
		return commit{}, fmt.Errorf("find commit %s: not there", id)
	}
	return all[0], nil
}

// count returns how many commits the revisions reach.
func (h history) count(revisions ...string) (int, error) {
	args := append(append([]string{"rev-list", "--count"}, revisions...), "--")
	out, err := h.git.run(h.ctx, h.dir, nil, args...)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(out))
}

// isAncestor tells whether b contains a.
func (h history) isAncestor(a, b string) bool {
	_, err := h.git.run(h.ctx, h.dir, nil, "merge-base", "--is-ancestor", a, b)
	return err == nil
}

// mergeBase returns the best common ancestor, "" when there is none.
func (h history) mergeBase(a, b string) string {
	out, err := h.git.run(h.ctx, h.dir, nil, "merge-base", a, b)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}

// resolve returns the full hash of the commit that a hash, branch or tag means, "" when there is none.
func (h history) resolve(revision string) string {
	out, err := h.git.run(h.ctx, h.dir, nil, "rev-parse", "--verify", "--quiet", "--end-of-options", revision+"^{commit}")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}
