package forgetest

import (
	"fmt"
	"maps"

	"tinyforge/app"
)

// repositories lists more than a page.
func (e *exercise) repositories() {
	want := map[int64]string{e.row().ExternalID: e.full}
	for i := range 110 {
		owner := []string{"acme", "other"}[i%2]
		r, err := e.s.CreateRepository(fmt.Sprintf("%s/project-%d", owner, i), i%3 == 0)
		e.must(err)
		want[r.ID] = r.FullName
	}
	got := map[int64]string{}
	for found, err := range e.forge.Repositories(e.ctx) {
		e.must(err)
		r, err := e.s.Repository(found.Repository.FullName)
		e.must(err)
		e.checkInstalled(found, r)
		if _, twice := got[r.ID]; twice {
			e.Errorf("%s is listed twice", r.FullName)
		}
		got[found.Repository.ExternalID] = found.Repository.FullName
	}
	if !maps.Equal(got, want) {
		e.Errorf("listed are %d repositories, want %d", len(got), len(want))
	}
	seen := 0
	for _, err := range e.forge.Repositories(e.ctx) {
		e.must(err)
		if seen++; seen == 3 {
			break
		}
	}
	if seen != 3 {
		e.Errorf("listing stopped after %d", seen)
	}
}

func (e *exercise) checkInstalled(found app.Installed, r Repository) {
	e.Helper()
	row := found.Repository
	if row.ForgeID != 1 || row.ExternalID != r.ID || row.Private != r.Private || row.DefaultBranch != r.DefaultBranch {
		e.Errorf("listed is %+v, want %+v", row, r)
	}
	switch i := found.Installation; {
	case r.Installation == 0:
		if i != nil {
			e.Errorf("%s has an installation: %+v", r.FullName, i)
		}
	case i == nil || i.ExternalID != r.Installation || i.Account != r.Owner() || i.ForgeID != 1 || i.Suspended:
		e.Errorf("%s has installation %+v, want %d on %s", r.FullName, i, r.Installation, r.Owner())
	}
}

// heads lists branches and tags, more than a page of them.
func (e *exercise) heads() {
	if heads, err := e.forge.Heads(e.ctx, e.row()); err != nil || len(heads) != 0 {
		e.Errorf("an empty repository has %v, error %v", heads, err)
	}
	one := e.first()
	want := map[string]string{"refs/heads/main": one, "refs/tags/v1": one, "refs/heads/release/1": one}
	e.git("tag", "--annotate", "--message", "First", "v1")
	e.git("branch", "release/1")
	for i := range 110 {
		e.git("branch", fmt.Sprintf("topic-%d", i))
		want[fmt.Sprintf("refs/heads/topic-%d", i)] = one
	}
	e.must(e.work.Push(e.ctx, "--all"))
	e.must(e.work.Push(e.ctx, "--tags"))
	e.write("index.html", "<h1>two</h1>\n")
	want["refs/heads/main"] = e.commit("Change")
	e.must(e.work.Push(e.ctx, "main"))

	got, err := e.forge.Heads(e.ctx, e.row())
	e.must(err)
	if !maps.Equal(got, want) {
		e.Errorf("heads are %v, want %v", got, want)
	}
}
