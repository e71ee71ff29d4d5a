package forgetest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"tinyforge/app"
	"tinyforge/db"
)

// fetches checks commits of a private repository out.
func (e *exercise) fetches() {
	e.write("index.html", "<h1>one</h1>\n")
	e.write("folder/deep/Größe.txt", "ö\n")
	e.must(e.work.Write("run.sh", "#!/bin/sh\n", 0o755))
	e.must(os.Symlink("index.html", filepath.Join(e.work.Dir, "link")))
	one := e.commit("Add site")
	e.must(e.work.Push(e.ctx, "main"))
	want := map[string]string{
		"index.html":            "- <h1>one</h1>\n",
		"folder/deep/Größe.txt": "- ö\n",
		"run.sh":                "x #!/bin/sh\n",
		"link":                  "-> index.html",
	}
	e.checkFetch(one, "Add site", want)

	e.write("index.html", "<h1>two</h1>\n")
	e.commit("Change")
	e.must(e.work.Push(e.ctx, "main"))
	e.checkFetch(one, "Add site", want) // no longer the tip

	e.git("reset", "--quiet", "--hard", one)
	e.write("index.html", "<h1>three</h1>\n")
	three := e.commit("Change otherwise")
	e.must(e.work.Push(e.ctx, "--force", "main"))
	e.write("index.html", "<h1>four</h1>\n")
	e.git("commit", "--quiet", "--all", "--amend", "--message", "Change otherwise again")
	e.must(e.work.Push(e.ctx, "--force", "main"))
	want["index.html"] = "- <h1>three</h1>\n"
	e.checkFetch(three, "Change otherwise", want) // forced away, not collected yet

	e.must(e.s.DeleteCommit(e.ctx, e.full, three))
	e.noCommit(three)
	e.noCommit(strings.Repeat("a", 40))
	e.cancelFetch(one)
}

func (e *exercise) checkFetch(commit, message string, want map[string]string) {
	e.Helper()
	dir := e.TempDir()
	said, err := e.forge.Fetch(e.ctx, e.row(), commit, dir)
	if err != nil {
		e.Fatalf("fetch %s: %v", commit, err)
	}
	if said != (db.CommitText{Message: message, Author: "A Developer"}) {
		e.Errorf("%s says %+v of itself, want %q of A Developer", commit, said, message)
	}
	got := map[string]string{}
	e.must(filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && entry.Name() != ".git" {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		got[filepath.ToSlash(name)], err = describe(path, entry)
		return err
	}))
	if !maps.Equal(got, want) {
		e.Errorf("checkout of %s is %q, want %q", commit, got, want)
	}
}

// describe returns what a file is: its link target, or whether it is executable and its content.
func describe(path string, entry fs.DirEntry) (string, error) {
	switch {
	case entry.IsDir():
		return "a folder", nil
	case entry.Type()&fs.ModeSymlink != 0:
		to, err := os.Readlink(path)
		return "-> " + to, err
	}
	info, err := entry.Info()
	if err != nil {
		return "", err
	}
	content, err := os.ReadFile(path)
	mark := "-"
	if info.Mode()&0o100 != 0 {
		mark = "x"
	}
	return fmt.Sprintf("%s %s", mark, content), err
}

func (e *exercise) noCommit(commit string) {
	e.Helper()
	if _, err := e.forge.Fetch(e.ctx, e.row(), commit, e.TempDir()); !errors.Is(err, app.ErrNoCommit) {
		e.Errorf("fetch of %s, which is not there: %v, want ErrNoCommit", commit, err)
	}
}

// cancelFetch gives up while the forge says nothing.
func (e *exercise) cancelFetch(commit string) {
	e.Helper()
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	var once sync.Once
	reached := make(chan struct{})
	e.s.Fault(func(r *http.Request) *Fault {
		if !strings.Contains(r.URL.Path, ".git/") {
			return nil
		}
		once.Do(func() { close(reached) })
		return &Fault{Silent: true}
	})
	defer e.s.Fault(nil)
	ended := make(chan error, 1)
	go func() {
		_, err := e.forge.Fetch(ctx, e.row(), commit, e.TempDir())
		ended <- err
	}()
	<-reached
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			e.Errorf("canceled fetch: %v, want context.Canceled", err)
		}
	case <-e.ctx.Done():
		e.Fatal("a canceled fetch goes on")
	}
}
