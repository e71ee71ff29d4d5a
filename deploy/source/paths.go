package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"tinyforge/deploy"
)

// isRepoPath tells whether a path of a config stays inside the repository as far as one can see without a checkout.
func isRepoPath(s string) bool {
	return filepath.IsLocal(s) && !strings.Contains(s, `\`) && !strings.ContainsFunc(s, unicode.IsControl)
}

// resolve returns where path is inside the checkout dir once all symbolic links are followed, relative to dir and
// slash-separated. It is a *deploy.Failure that names key when path is absent, is no folder though wantDir (or no file
// otherwise), or leaves dir in any way.
func resolve(dir, key, path string, wantDir bool) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("open checkout: %w", err)
	}
	defer root.Close()
	info, err := root.Stat(filepath.FromSlash(path)) // looks at nothing outside dir
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", &deploy.Failure{Text: fmt.Sprintf("%s: %q is not in the repository at this commit", key, path)}
	case err != nil:
		return "", &deploy.Failure{Text: fmt.Sprintf("%s: %q cannot be used: it must be inside the repository, also when "+
			"symbolic links are followed", key, path), Err: err}
	case wantDir && !info.IsDir():
		return "", &deploy.Failure{Text: fmt.Sprintf("%s: %q is not a folder", key, path)}
	case !wantDir && !info.Mode().IsRegular():
		return "", &deploy.Failure{Text: fmt.Sprintf("%s: %q is not a file", key, path)}
	}
	return follow(dir, path)
}

// follow resolves the links of a path that is known to stay inside dir.
func follow(dir, path string) (string, error) {
	base, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", fmt.Errorf("resolve checkout: %w", err)
	}
	target, err := filepath.EvalSymlinks(filepath.Join(base, filepath.FromSlash(path)))
	if err != nil {
		return "", fmt.Errorf("resolve %q: %w", path, err)
	}
	rel, err := filepath.Rel(base, target)
	if err != nil || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("resolve %q: it leaves the checkout", path)
	}
	return filepath.ToSlash(rel), nil
}
