package app

import (
	"context"
	"fmt"
)

// checkoutLimits bound what a checkout puts on the disk. A commit of a few kilobytes can stand for any number of files: its
// folders can hold each other many times over.
type checkoutLimits struct {
	files   int   // folders and submodules too
	content int64 // bytes
	names   int64 // bytes of all paths, which git keeps in memory
}

func defaultLimits() checkoutLimits {
	return checkoutLimits{files: 250_000, content: 5 << 30, names: 64 << 20}
}

// tooMuchError says which limit a commit goes beyond.
type tooMuchError struct{ limit string }

func (e *tooMuchError) Error() string {
	return fmt.Sprintf("the commit has more than %s: Tinyforge does not check that out", e.limit)
}

// check returns a *tooMuchError when the checkout of commit would go beyond the limits. It reads no further than that.
func (l checkoutLimits) check(ctx context.Context, git gitCommand, commit string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	count := &treeCount{limits: l, stop: cancel}
	// With -t, folders that hold nothing but folders are counted as well: walking them takes as long.
	err := git.stream(ctx, count, "ls-tree", "-r", "-t", "-z", "--full-tree", "--format=%(objectsize) %(path)", commit+"^{commit}")
	if count.err != nil {
		return count.err
	}
	return err
}

// treeCount adds up a listing of "SIZE PATH\0" as it is written. What has no size of its own has "-".
type treeCount struct {
	limits checkoutLimits
	stop   func() // called when a limit is passed
	err    error

	files   int
	content int64
	names   int64

	size   int64 // of the entry that is being read
	inPath bool
}

func (c *treeCount) Write(p []byte) (int, error) {
	for _, b := range p {
		if c.err != nil {
			return 0, c.err
		}
		if c.add(b); c.err != nil {
			c.stop()
		}
	}
	return len(p), c.err
}

func (c *treeCount) add(b byte) {
	switch {
	case c.inPath && b == 0:
		c.inPath, c.files = false, c.files+1
	case c.inPath:
		c.names++
	case b == ' ':
		c.inPath, c.content, c.size = true, c.content+c.size, 0
	case b >= '0' && b <= '9':
		c.size = c.size*10 + int64(b-'0')
	}
	switch {
	case c.files > c.limits.files:
		c.err = &tooMuchError{fmt.Sprintf("%d files and folders", c.limits.files)}
	case c.size > c.limits.content-c.content: // looked at after each digit, so that it cannot overflow
		c.err = &tooMuchError{binaryBytes(c.limits.content) + " of content"}
	case c.names > c.limits.names:
		c.err = &tooMuchError{binaryBytes(c.limits.names) + " of file names"}
	}
}

func binaryBytes(n int64) string {
	switch {
	case n > 0 && n%(1<<30) == 0:
		return fmt.Sprintf("%d GiB", n>>30)
	case n > 0 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}
