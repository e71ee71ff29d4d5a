package forgetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Worktree is a developer's clone of a repository. What is pushed from it goes through a real git client. It is not
// safe for concurrent use.
type Worktree struct {
	Dir string
	git gitCommand
}

// Clone clones a repository into dir, which is made, with the developer's credentials. It may be empty.
func (s *Server) Clone(ctx context.Context, fullName, dir string) (*Worktree, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find folder: %w", err)
	}
	w := &Worktree{Dir: dir, git: s.git}
	if _, err := s.git.run(ctx, "", nil, "clone", "--quiet", s.PushURL(fullName), dir); err != nil {
		return nil, err
	}
	return w, nil
}

// Write makes or replaces a file. mode 0 means 0644.
func (w *Worktree) Write(path, content string, mode os.FileMode) error {
	if mode == 0 {
		mode = 0o644
	}
	full := filepath.Join(w.Dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := os.WriteFile(full, []byte(content), mode); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	return os.Chmod(full, mode) // WriteFile leaves the mode of a file that exists, and obeys the umask
}

// Commit commits everything as it is, also nothing, and returns the full hash.
func (w *Worktree) Commit(ctx context.Context, message string) (string, error) {
	if _, err := w.Git(ctx, "add", "--all"); err != nil {
		return "", err
	}
	if _, err := w.Git(ctx, "commit", "--quiet", "--allow-empty", "--message", message); err != nil {
		return "", err
	}
	return w.Head(ctx)
}

// Head returns the full hash of what is checked out.
func (w *Worktree) Head(ctx context.Context) (string, error) { return w.Git(ctx, "rev-parse", "HEAD") }

// Push pushes; the arguments are git's: "main", "--force", ":old". When it returns, the deliveries are queued.
func (w *Worktree) Push(ctx context.Context, args ...string) error {
	_, err := w.Git(ctx, append([]string{"push", "--quiet", "origin"}, args...)...)
	return err
}

// Git runs any git command as a developer and returns its output without the last line end.
func (w *Worktree) Git(ctx context.Context, args ...string) (string, error) {
	out, err := w.git.run(ctx, w.Dir, []string{
		"GIT_AUTHOR_NAME=A Developer", "GIT_AUTHOR_EMAIL=dev@example.com",
		"GIT_COMMITTER_NAME=A Developer", "GIT_COMMITTER_EMAIL=dev@example.com",
	}, args...)
	return strings.TrimSuffix(out, "\n"), err
}
