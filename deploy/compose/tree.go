package compose

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tinyforge/deploy"
)

const (
	maxFile  = 1 << 20 // bytes of a Compose or env file
	maxFiles = 64      // Compose files of a stack, those that are included and extended too
)

// tree is a checkout. Nothing outside it is opened through it, symbolic links followed.
type tree struct {
	root *os.Root
	dir  string // absolute, without symbolic links
}

func openTree(dir string) (*tree, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return nil, fmt.Errorf("open checkout: %w", err)
	}
	root, err := os.OpenRoot(real)
	if err != nil {
		return nil, fmt.Errorf("open checkout: %w", err)
	}
	return &tree{root, real}, nil
}

func (t *tree) close() { _ = t.root.Close() }

// inside returns an absolute path relative to the checkout, if it looks as if it were in it.
func (t *tree) inside(path string) (string, bool) {
	rel, err := filepath.Rel(t.dir, path)
	if err != nil || !filepath.IsLocal(rel) {
		return "", false
	}
	return rel, true
}

// stat returns what is at an absolute path, links followed; a fault says why it cannot be used. name is how to call it.
func (t *tree) stat(path, name string) (fs.FileInfo, error) {
	rel, ok := t.inside(path)
	if !ok {
		return nil, faults{name + " is outside the repository"}
	}
	info, err := t.root.Stat(rel)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, faults{name + " is not in the repository at this commit"}
	case err != nil:
		return nil, faults{name + " leads outside the repository, or cannot be read"}
	}
	return info, nil
}

// read returns the content of a file of limited size at an absolute path.
func (t *tree) read(path, name string) ([]byte, error) {
	info, err := t.stat(path, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, faults{name + " is not a file"}
	}
	if info.Size() > maxFile {
		return nil, faults{fmt.Sprintf("%s is too large: at most %d bytes are read", name, maxFile)}
	}
	rel, _ := t.inside(path)
	file, err := t.root.Open(rel)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return content, nil
}

// resolved returns where an absolute path inside the checkout leads once links are followed, relative and slash-separated.
func (t *tree) resolved(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("resolve path: %w", err)
	}
	rel, ok := t.inside(real)
	if !ok {
		return "", faults{"a path leads outside the repository"}
	}
	return filepath.ToSlash(rel), nil
}

// usual are the names that Compose looks for, the preferred one first, each with that of its override.
var usual = [][]string{
	{"compose.yaml", "compose.override.yaml", "compose.override.yml"},
	{"compose.yml", "compose.override.yml", "compose.override.yaml"},
	{"docker-compose.yml", "docker-compose.override.yml", "docker-compose.override.yaml"},
	{"docker-compose.yaml", "docker-compose.override.yaml", "docker-compose.override.yml"},
}

// composeFiles returns the absolute paths of the files to load.
func (t *tree) composeFiles(in deploy.StackInput) ([]string, error) {
	if len(in.Files) > 0 {
		var all []string
		for _, name := range in.Files {
			all = append(all, filepath.Join(t.dir, filepath.FromSlash(name)))
		}
		return all, nil
	}
	for _, names := range usual {
		if _, err := t.root.Lstat(names[0]); err != nil {
			continue
		}
		files := []string{filepath.Join(t.dir, names[0])}
		for _, override := range names[1:] {
			if _, err := t.root.Lstat(override); err == nil {
				return append(files, filepath.Join(t.dir, override)), nil
			}
		}
		return files, nil
	}
	return nil, faults{"there is no compose.yaml, compose.yml, docker-compose.yaml or docker-compose.yml in the repository: " +
		"name the config's files"}
}

// named says which file an absolute path is, for people.
func (t *tree) named(path string) string {
	if rel, ok := t.inside(path); ok {
		return filepath.ToSlash(rel)
	}
	return strings.TrimSuffix(path, "/")
}
