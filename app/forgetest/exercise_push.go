package forgetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tinyforge/app"
)

// pushes decodes the deliveries of real pushes.
func (e *exercise) pushes() {
	e.listen()

	e.write("index.html", "<h1>one</h1>\n")
	e.write("dropped.txt", "later\n")
	one := e.commit("Add site\n\nWith a body.")
	p := e.moved(e.pushed("main"), "refs/heads/main", zeroID, one)
	e.check("message", p.Message, "Add site")
	e.checkFiles(p, "dropped.txt", "index.html")

	e.write("index.html", "<h1>two</h1>\n")
	e.write("Größe.txt", "<&>\n")
	e.commit("Größe <&>\u2028 ändern")
	e.git("mv", "dropped.txt", "folder.txt")
	two := e.commit("Move")
	p = e.moved(e.pushed("main"), "refs/heads/main", one, two)
	e.check("message", p.Message, "Move")
	e.checkFiles(p, "Größe.txt", "dropped.txt", "folder.txt", "index.html")

	many := two
	var files []string
	for i := range 7 {
		files = append(files, fmt.Sprintf("pages/%d.html", i))
		e.write(files[i], "page\n")
		many = e.commit(fmt.Sprintf("Add page %d", i))
	}
	p = e.moved(e.pushed("main"), "refs/heads/main", two, many)
	e.check("message", p.Message, "Add page 6")
	e.checkFiles(p, files...)

	e.forcePushes(two, many)
	e.branches()
	e.tags()
	e.redelivered()
}

// forcePushes drops commits. What they changed is not in the delivery, so no filter may trust its file list.
func (e *exercise) forcePushes(two, many string) {
	e.Helper()
	e.git("reset", "--quiet", "--hard", two)
	e.write("amended.txt", "instead\n")
	forced := e.commit("Instead of pages")
	p := e.moved(e.pushed("--force", "main"), "refs/heads/main", many, forced)
	if p.FilesComplete && !slices.Contains(p.Files, "pages/0.html") {
		e.Errorf("a force push that removes pages/0.html claims to list all files: %q", p.Files)
	}
	e.git("reset", "--quiet", "--hard", two)
	sent := e.pushed("--force", "main")
	p = e.moved(sent, "refs/heads/main", forced, two)
	if p.FilesComplete && !slices.Contains(p.Files, "amended.txt") {
		e.Errorf("a reset that removes amended.txt claims to list all files: %q", p.Files)
	}
	if message := "Move"; bytes.Contains(sent[0].Body, []byte(message)) { // GitLab does not tell of a commit that is not new
		e.check("message", p.Message, message)
	} else {
		e.check("message", p.Message, "")
	}
}

// branches makes and deletes one, without and with a commit of its own.
func (e *exercise) branches() {
	e.Helper()
	head := e.git("rev-parse", "HEAD")
	e.moved(e.pushed("HEAD:refs/heads/release/1"), "refs/heads/release/1", zeroID, head)

	e.git("checkout", "--quiet", "-b", "feature")
	e.write("feature.txt", "new\n")
	feature := e.commit("Start feature")
	e.moved(e.pushed("feature"), "refs/heads/feature", zeroID, feature)
	e.git("checkout", "--quiet", "main")

	e.gone(e.pushed(":feature"), "refs/heads/feature")
}

func (e *exercise) tags() {
	e.Helper()
	head := e.git("rev-parse", "HEAD")
	e.git("tag", "light")
	e.moved(e.pushed("light"), "refs/tags/light", zeroID, head)

	e.git("tag", "--annotate", "--message", "First release", "v1.0.0")
	object := e.git("rev-parse", "v1.0.0")
	p := e.one(e.pushed("v1.0.0"))
	e.check("ref", p.Ref, "refs/tags/v1.0.0")
	e.check("after", p.After, object)
	e.check("commit", p.Commit, head)

	e.gone(e.pushed(":v1.0.0"), "refs/tags/v1.0.0")
	e.gone(e.pushed(":light"), "refs/tags/light")
}

// redelivered decodes a delivery that is sent again.
func (e *exercise) redelivered() {
	e.Helper()
	e.write("again.txt", "again\n")
	sha := e.commit("Again")
	first := e.pushed("main")
	p := e.one(first)
	again := e.one(e.caused(func() { e.must(e.s.Redeliver(first[0].ID)) }))
	e.check("commit", again.Commit, sha)
	e.check("ref", again.Ref, p.Ref)
	if again.DeliveryID == "" {
		e.Error("a redelivery has no delivery id")
	}
}

// one returns the single push among deliveries. Others may be there if the implementation ignores them.
func (e *exercise) one(sent []Delivery) app.Push {
	e.Helper()
	var found []app.Push
	for _, d := range sent {
		p, err := e.forge.Push(d.Header, d.Body)
		if errors.Is(err, app.ErrIgnored) {
			continue
		}
		if err != nil {
			e.Fatalf("decode %s: %v", d.Event, err)
		}
		if p.DeliveryID != d.ID {
			e.Errorf("delivery id is %q, want %q", p.DeliveryID, d.ID)
		}
		found = append(found, p)
	}
	if len(found) != 1 {
		e.Fatalf("%d deliveries decode to %d pushes, want 1", len(sent), len(found))
	}
	return found[0]
}

// moved checks a delivery that says that a ref now is at a commit.
func (e *exercise) moved(sent []Delivery, ref, before, after string) app.Push {
	e.Helper()
	p := e.one(sent)
	want := e.row()
	e.check("event", p.Event, "push")
	e.check("ref", p.Ref, ref)
	e.check("before", p.Before, before)
	e.check("after", p.After, after)
	e.check("commit", p.Commit, after)
	e.check("name", p.Repository.FullName, want.FullName)
	e.check("default branch", p.Repository.DefaultBranch, want.DefaultBranch)
	if !strings.Contains(p.Author, "A Developer") {
		e.Errorf("author is %q, want A Developer", p.Author)
	}
	if p.Repository.ExternalID != want.ExternalID || p.Repository.ForgeID != want.ForgeID || !p.Repository.Private {
		e.Errorf("repository is %+v, want %+v", p.Repository, want)
	}
	if p.Deleted || p.Installation != nil {
		e.Errorf("a moved ref is decoded as something else: %+v", p)
	}
	return p
}

// gone checks deliveries that say that a ref was deleted: nothing in them may look like something to deploy.
func (e *exercise) gone(sent []Delivery, ref string) {
	e.Helper()
	if len(sent) == 0 {
		e.Fatalf("the deletion of %s was not delivered", ref)
	}
	for _, d := range sent {
		p, err := e.forge.Push(d.Header, d.Body)
		if errors.Is(err, app.ErrIgnored) {
			continue
		}
		if err != nil {
			e.Fatalf("decode %s: %v", d.Event, err)
		}
		if !p.Deleted || p.Commit != "" || p.Ref != ref {
			e.Errorf("the deletion of %s is decoded as %+v", ref, p)
		}
	}
}

// checkFiles checks a file list that claims to be complete.
func (e *exercise) checkFiles(p app.Push, want ...string) {
	e.Helper()
	if !p.FilesComplete {
		return
	}
	got := slices.Compact(slices.Sorted(slices.Values(p.Files)))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		e.Errorf("complete file list is %q, want %q", got, want)
	}
}

func (e *exercise) check(what, got, want string) {
	e.Helper()
	if got != want {
		e.Errorf("%s is %q, want %q", what, got, want)
	}
}
