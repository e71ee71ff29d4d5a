package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// tree makes a folder of files, and of links, which are written "-> target".
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			err = os.Symlink(target, at)
		} else {
			err = os.WriteFile(at, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func copyTree(t *testing.T, dir string, limits Limits, without ...string) (Tree, string, error) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	out := t.TempDir()
	got, err := Copy(t.Context(), root, out, limits, without...)
	return got, out, err
}

func TestCopy(t *testing.T) {
	dir := tree(t, map[string]string{
		"site/index.html":        "top",
		"site/a/b/deep.txt":      "deep",
		"site/_headers":          "rules",
		"site/sub/_headers":      "a page of that name",
		"site/.env":              "SECRET=1",
		"site/a/.git/config":     "secret",
		"site/.well-known/x.txt": "public",
		"site/.well-known/.y":    "hidden",
		"site/link.txt":          "-> a/b/deep.txt",
		"site/folder":            "-> a/b",
		"site/up":                "-> .",
		"site/a/up":              "-> ../a",
		"site/x/to-y":            "-> ../y",
		"site/y/to-x":            "-> ../x",
		"site/env.txt":           "-> .env",
		"site/git":               "-> a/.git",
		"site/config":            "-> a/.git/config",
		"site/out.txt":           "-> ../secret.txt",
		"site/out-folder":        "-> ..",
		"site/through":           "-> a/b/../../../secret.txt",
		"site/absolute":          "-> /etc/passwd",
		"site/a/absolute-to-us":  "-> " + "/proc/self/environ",
		"site/nowhere":           "-> none",
		"site/self":              "-> self",
		"site/second":            "-> link.txt",
		"site/via-outside":       "-> ../site/index.html",
		"site/bad\xffname":       "not UTF-8",
		"secret.txt":             "secret",
	})
	if err := syscall.Mkfifo(filepath.Join(dir, "site", "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, out, err := copyTree(t, filepath.Join(dir, "site"), DefaultLimits(), "_headers")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		".well-known/x.txt", "a/b/deep.txt", "folder/deep.txt", "index.html", "link.txt", "second", "sub/_headers",
	}
	var found []string
	err = filepath.WalkDir(out, func(at string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(out, at)
		found = append(found, rel)
		if info, err := e.Info(); err != nil || info.Mode() != 0o644 {
			t.Errorf("%s is %v, %v", rel, info.Mode(), err)
		}
		if text, err := os.ReadFile(at); err != nil || strings.Contains(strings.ToLower(string(text)), "secret") {
			t.Errorf("%s holds %q, %v", rel, text, err)
		}
		return nil
	})
	if err != nil || !slices.Equal(found, want) {
		t.Errorf("copied %q, %v\nwant   %q", found, err, want)
	}
	for _, name := range want {
		if got.Files[name] == "" {
			t.Errorf("%s has no tag", name)
		}
	}
	if len(got.Files) != len(want) || got.Files["link.txt"] != got.Files["a/b/deep.txt"] || got.Files["index.html"] == got.Files["link.txt"] {
		t.Errorf("tags %q", got.Files)
	}
	for _, skipped := range []string{
		`".env": its name begins with a dot`, `"env.txt": it is a link to what begins with a dot`, `"git": it is a link to what begins with a dot`,
		`"out.txt": it is a link that leads out of the site's folder`, `"through": it is a link that leads out`, `"absolute": it is a link that leads out`,
		`"out-folder": it is a link that leads out`, `"via-outside": it is a link that leads out`,
		`"nowhere": it is a link that leads nowhere`, `"self": it is a link that leads nowhere`, `"up": it is a link to a folder that it is in`,
		`"x/to-y/to-x": it is a link to a folder that it is in`, `"pipe": it is neither a file nor a folder`, `"bad?name": its name is not UTF-8`,
	} {
		if !slices.ContainsFunc(got.Skipped, func(s string) bool { return strings.HasPrefix(s, skipped) }) {
			t.Errorf("it does not say %s:\n%s", skipped, strings.Join(got.Skipped, "\n"))
		}
	}
}

// A small checkout whose links double what there is at each level, and whose folders are in each other without an end.
func TestCopyIsBounded(t *testing.T) {
	files := map[string]string{"d0/x": "x"}
	for i := range 30 {
		files[fmt.Sprintf("d%d/a", i+1)] = fmt.Sprintf("-> ../d%d", i)
		files[fmt.Sprintf("d%d/b", i+1)] = fmt.Sprintf("-> ../d%d", i)
	}
	if _, _, err := copyTree(t, tree(t, files), Limits{Entries: 1000, Bytes: 1 << 20}); !errors.Is(err, ErrTooMuch) {
		t.Errorf("links that double: %v", err)
	}
	large := tree(t, map[string]string{"a": strings.Repeat("x", 600), "b": strings.Repeat("x", 600)})
	if _, _, err := copyTree(t, large, Limits{Entries: 10, Bytes: 1199}); !errors.Is(err, ErrTooMuch) {
		t.Errorf("bytes: %v", err)
	}
	if got, _, err := copyTree(t, large, Limits{Entries: 2, Bytes: 1200}); err != nil || len(got.Files) != 2 {
		t.Errorf("as much as is allowed: %v, %v", got, err)
	}
	deep := tree(t, map[string]string{strings.Repeat("d/", maxDepth+1) + "x": "x"})
	if _, _, err := copyTree(t, deep, DefaultLimits()); !errors.Is(err, ErrTooMuch) {
		t.Errorf("depth: %v", err)
	}
	dots := map[string]string{}
	for i := range maxSkipped + 5 {
		dots[fmt.Sprintf(".%d", i)] = ""
	}
	if got, _, err := copyTree(t, tree(t, dots), DefaultLimits()); err != nil || len(got.Skipped) != maxSkipped+1 || got.Skipped[maxSkipped] != "and 5 more" {
		t.Errorf("left out: %v, %v", got.Skipped, err)
	}
}

func TestCopyEndsWithItsContext(t *testing.T) {
	root, err := os.OpenRoot(tree(t, map[string]string{"a": "b"}))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Copy(ctx, root, t.TempDir(), DefaultLimits()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
