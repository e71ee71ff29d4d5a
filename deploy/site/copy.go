package site

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"tinyforge/deploy/shorten"
)

// Tree is what Copy has copied.
type Tree struct {
	Files   map[string]string // tags of contents by path
	Skipped []string          // what was left out, and why, in words; the first hundred
	left    int               // how many were left out beyond them
}

// Limits bound what is copied. A small checkout can stand for any number of files: its links can lead to each other.
type Limits struct {
	Entries int   // files and folders
	Bytes   int64 // of content
}

// DefaultLimits are those of checkouts.
func DefaultLimits() Limits { return Limits{Entries: 250_000, Bytes: 5 << 30} }

// ErrTooMuch is returned beyond a limit.
var ErrTooMuch = errors.New("too many or too large files")

const (
	maxDepth   = 200 // folders in each other
	maxSkipped = 100 // that are named
)

// Copy copies the regular files and the folders of in to the empty folder out: readable for everybody, writable for their
// owner. Left out is what begins with a dot, .well-known apart, at whatever depth, and what is neither file nor folder. A
// symbolic link is copied as what it leads to, unless that is outside of in, left out itself, or a folder that it is in.
// without are names at the top that are left out too, silently.
func Copy(ctx context.Context, in *os.Root, out string, limits Limits, without ...string) (Tree, error) {
	to, err := os.OpenRoot(out)
	if err != nil {
		return Tree{}, fmt.Errorf("copy site: %w", err)
	}
	defer to.Close()
	c := &copier{ctx: ctx, in: in, out: to, left: limits, tree: Tree{Files: map[string]string{}}, without: without}
	if err := c.folder(".", ".", nil); err != nil {
		return Tree{}, fmt.Errorf("copy site: %w", err)
	}
	if c.tree.left > 0 {
		c.tree.Skipped = append(c.tree.Skipped, fmt.Sprintf("and %d more", c.tree.left))
	}
	return c.tree, nil
}

type copier struct {
	ctx     context.Context
	in, out *os.Root
	left    Limits
	tree    Tree
	without []string
}

// folder copies what is in the folder real, which has no link in its path, under the name shown. above are the folders
// through which the way has led.
func (c *copier) folder(real, shown string, above []string) error {
	if len(above) > maxDepth {
		return fmt.Errorf("%w: folders are more than %d deep", ErrTooMuch, maxDepth)
	}
	entries, err := fs.ReadDir(c.in.FS(), real)
	if err != nil {
		return err
	}
	above = append(above[:len(above):len(above)], real)
	for _, e := range entries {
		if len(above) == 1 && slices.Contains(c.without, e.Name()) {
			continue
		}
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if err := c.entry(path.Join(real, e.Name()), path.Join(shown, e.Name()), e, above); err != nil {
			return err
		}
	}
	return nil
}

func (c *copier) entry(real, shown string, e fs.DirEntry, above []string) error {
	switch {
	case hidden([]string{e.Name()}):
		c.skip(shown, "its name begins with a dot")
		return nil
	case !utf8.ValidString(e.Name()):
		c.skip(strings.ToValidUTF8(shown, "?"), "its name is not UTF-8")
		return nil
	}
	if e.Type()&fs.ModeSymlink != 0 {
		target, err := resolve(c.in, real)
		switch {
		case err != nil:
			c.skip(shown, err.Error())
			return nil
		case hidden(strings.Split(target, "/")) && target != ".":
			c.skip(shown, "it is a link to what begins with a dot")
			return nil
		case slices.Contains(above, target):
			c.skip(shown, "it is a link to a folder that it is in")
			return nil
		}
		real = target
	}
	info, err := c.in.Lstat(real)
	if err != nil {
		return err
	}
	c.left.Entries--
	switch {
	case c.left.Entries < 0:
		return fmt.Errorf("%w: more than can be in one site", ErrTooMuch)
	case info.IsDir():
		return c.subfolder(real, shown, above)
	case info.Mode().IsRegular():
		return c.file(real, shown, info.Mode())
	}
	c.skip(shown, "it is neither a file nor a folder")
	return nil
}

func (c *copier) subfolder(real, shown string, above []string) error {
	if err := c.out.Mkdir(shown, 0o755); err != nil {
		return err
	}
	if err := c.out.Chmod(shown, 0o755); err != nil { // whatever the umask
		return err
	}
	return c.folder(real, shown, above)
}

func (c *copier) file(real, shown string, mode fs.FileMode) error {
	from, err := c.in.OpenFile(real, os.O_RDONLY|syscall.O_NONBLOCK, 0) // does not wait, whatever has come there since
	if err != nil {
		return err
	}
	defer from.Close()
	if info, err := from.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, fmt.Errorf("%s was changed while it was copied", real))
	}
	to, err := c.out.OpenFile(shown, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, sum), io.LimitReader(from, c.left.Bytes+1))
	c.left.Bytes -= n
	err = errors.Join(err, to.Chmod(0o644|mode&0o111), to.Close())
	if err == nil && c.left.Bytes < 0 {
		err = fmt.Errorf("%w: they have more bytes than can be in one site", ErrTooMuch)
	}
	c.tree.Files[shown] = base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:12])
	return err
}

func (c *copier) skip(shown, why string) {
	if len(c.tree.Skipped) == maxSkipped {
		c.tree.left++
		return
	}
	c.tree.Skipped = append(c.tree.Skipped, fmt.Sprintf("%q: %s", shorten.Typed(shown), why))
}
