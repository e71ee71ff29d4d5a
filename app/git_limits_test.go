package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tinyforge/db"
)

// bomb makes a commit of nested folders, ten in each, over the object that entry names: 10,000,000,000 of them.
func (r *gitRepo) bomb(t *testing.T, entry string) string {
	t.Helper()
	for range 10 {
		var tree strings.Builder
		for i := range 10 {
			tree.WriteString(entry + "\t" + string(rune('a'+i)) + "\n")
		}
		entry = "040000 tree " + r.write(t, tree.String(), "mktree")
	}
	_, tree, _ := strings.Cut(entry, " tree ")
	return r.write(t, "", "commit-tree", "-m", "bomb", tree)
}

// write runs git in the served repository.
func (r *gitRepo) write(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Stdin = r.dir, strings.NewReader(stdin)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.dir, "GIT_DIR=" + r.dir, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=c", "GIT_COMMITTER_EMAIL=c@example.com",
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %v: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}

func wantTooMuch(t *testing.T, err error, limit string) {
	t.Helper()
	want := "fetch commit: the commit has more than " + limit + ": Tinyforge does not check that out"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Without the limit these end with the time-out or with a full disk. The second has no file at all.
func TestGitBomb(t *testing.T) {
	repo := serveRepo(t)
	for name, entry := range map[string]string{
		"files":   "100644 blob " + repo.write(t, "", "hash-object", "-w", "--stdin"),
		"folders": "040000 tree " + repo.write(t, "", "mktree"),
	} {
		dir := t.TempDir()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		wantTooMuch(t, errOf(testGit(t, "loopback").Fetch(ctx, repo.remote(), repo.bomb(t, entry), dir)), "250000 files and folders")
		cancel()
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%s: left is %v, error %v", name, left, err)
		}
	}
}

// A blob of zeros is small on its way: what it becomes is counted each time that it is checked out.
func TestGitBombOfContent(t *testing.T) {
	repo := serveRepo(t)
	blob := repo.write(t, strings.Repeat("\x00", 1<<20), "hash-object", "-w", "--stdin")
	wantTooMuch(t, errOf(testGit(t, "loopback").Fetch(t.Context(), repo.remote(), repo.bomb(t, "100644 blob "+blob), t.TempDir())), "5 GiB of content")
}

func TestGitBombOfNames(t *testing.T) {
	repo := serveRepo(t)
	blob := repo.write(t, "", "hash-object", "-w", "--stdin")
	folder := repo.write(t, "100644 blob "+blob+"\t"+strings.Repeat("n", 100_000)+"\n", "mktree")
	wantTooMuch(t, errOf(testGit(t, "loopback").Fetch(t.Context(), repo.remote(), repo.bomb(t, "040000 tree "+folder), t.TempDir())), "64 MiB of file names")
}

// What just fits is checked out; one less and it is not.
func TestGitLimitsAreExact(t *testing.T) {
	repo := serveRepo(t)
	dir := t.TempDir()
	if _, err := testGit(t, "loopback").Fetch(t.Context(), repo.remote(), repo.first, dir); err != nil {
		t.Fatal(err)
	}
	exact := measure(t, dir)
	if exact.files < 5 || exact.content < 20 || exact.names < 20 {
		t.Fatalf("the checkout is %+v", exact)
	}
	for _, tc := range []struct {
		change func(*checkoutLimits)
		want   string
	}{
		{func(*checkoutLimits) {}, ""},
		{func(l *checkoutLimits) { l.files-- }, "4 files and folders"},
		{func(l *checkoutLimits) { l.content-- }, binaryBytes(exact.content-1) + " of content"},
		{func(l *checkoutLimits) { l.names-- }, binaryBytes(exact.names-1) + " of file names"},
	} {
		g := testGit(t, "loopback")
		g.limits = exact
		tc.change(&g.limits)
		_, err := g.Fetch(t.Context(), repo.remote(), repo.first, t.TempDir())
		if tc.want == "" && err != nil {
			t.Errorf("what just fits: %v", err)
		}
		if tc.want != "" {
			wantTooMuch(t, err, tc.want)
		}
	}
}

func measure(t *testing.T, dir string) (l checkoutLimits) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		l.files, l.names = l.files+1, l.names+int64(len(name))
		if !entry.IsDir() {
			l.content += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestTreeCount(t *testing.T) {
	limits := checkoutLimits{files: 3, content: 100, names: 10}
	for listing, want := range map[string]string{
		"":                                      "",
		"- d\x00- d/s\x00100 d/f\x00":           "",
		"50 a\x0050 b\x000 c\x00":               "",
		"1 a b\x001 7\x00":                      "",
		"50 a\x0051 b\x00":                      "100 bytes of content",
		"0 a\x000 b\x000 c\x000 d\x00":          "3 files and folders",
		"0 aaaaaaaaaaa":                         "10 bytes of file names",
		"0 aaaaa\x000 bbbbb\x00":                "",
		"0 aaaaa\x000 bbbbbb\x00":               "10 bytes of file names",
		"18446744073709551616 a\x00":            "100 bytes of content", // 2^64 would be 0
		"18446744073709551617 a\x000 b\x00":     "100 bytes of content",
		"9223372036854775807 a\x00":             "100 bytes of content",
		strings.Repeat("9", 40) + " a\x00":      "100 bytes of content",
		"100 a\x009223372036854775807 b\x00":    "100 bytes of content",
		strings.Repeat("0", 40) + "100 a\x00":   "",
		"60 a\x00- b\x0041 c\x0099999999 d\x00": "100 bytes of content",
	} {
		for _, step := range []int{1, 2, 1000} { // the pieces in which it is written do not matter
			stopped := 0
			c := &treeCount{limits: limits, stop: func() { stopped++ }}
			var err error
			for rest := listing; rest != "" && err == nil; {
				n := min(step, len(rest))
				_, err = c.Write([]byte(rest[:n]))
				rest = rest[n:]
			}
			tooMuch, _ := errors.AsType[*tooMuchError](err)
			if (tooMuch != nil) != (want != "") || tooMuch != nil && (tooMuch.limit != want || stopped != 1) || tooMuch == nil && stopped != 0 {
				t.Errorf("%q by %d: %v, stopped %d times, want %q", listing, step, err, stopped, want)
			}
		}
	}
}

// The hash of something else than a commit is no commit, as it was before there were limits.
func TestGitFetchOfNoCommit(t *testing.T) {
	repo := serveRepo(t)
	for _, object := range []string{"^{tree}", ":index.html"} {
		hash := repo.write(t, "", "rev-parse", repo.first+object)
		if _, err := testGit(t, "loopback").Fetch(t.Context(), repo.remote(), hash, t.TempDir()); !errors.Is(err, ErrNoCommit) {
			t.Errorf("%s: %v", object, err)
		}
	}
}

// errOf is the error of a fetch.
func errOf(_ db.CommitText, err error) error { return err }
