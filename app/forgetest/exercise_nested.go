package forgetest

import (
	"path/filepath"

	"tinyforge/app"
	"tinyforge/db"
)

// nested does everything once with a repository in a group within a group, where the forge has such.
func (e *exercise) nested() {
	if !e.s.manners.nests() {
		if _, err := e.s.CreateRepository("acme/tools/site", true); err == nil {
			e.Error("the forge has groups within groups and says that it has not")
		}
		return
	}
	e.full = "acme/tools/web/site"
	made, err := e.s.CreateRepository(e.full, true)
	e.must(err)
	if made.Owner() != "acme/tools/web" || made.Name() != "site" {
		e.Errorf("%s is %s of %s", e.full, made.Name(), made.Owner())
	}
	e.work, err = e.s.Clone(e.ctx, e.full, filepath.Join(e.TempDir(), "nested"))
	e.must(err)
	e.listen()
	e.write("index.html", "<h1>nested</h1>\n")
	commit := e.commit("Add site")
	e.moved(e.pushed("main"), "refs/heads/main", zeroID, commit)
	e.checkFetch(commit, "Add site", map[string]string{"index.html": "- <h1>nested</h1>\n"})
	if heads, err := e.forge.Heads(e.ctx, e.row()); err != nil || heads["refs/heads/main"] != commit {
		e.Errorf("heads are %v, error %v", heads, err)
	}
	success := app.Status{Commit: commit, State: db.StatusSuccess, Description: "Live in 14 s"}
	e.must(e.forge.SetStatus(e.ctx, e.row(), success))
	e.checkStatuses(commit, success)
	e.listed()
}

// listed checks that the repository is among those that the forge shows.
func (e *exercise) listed() {
	e.Helper()
	for found, err := range e.forge.Repositories(e.ctx) {
		e.must(err)
		if found.Repository.FullName == e.full {
			return
		}
	}
	e.Errorf("%s is not listed", e.full)
}
