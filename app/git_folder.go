package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// makeGitFolder makes home, which does not exist, what git takes for a repository without anything in it, whose hashes are
// as long as that of commit. It is what git init makes there (see gitrepository-layout), which takes longer than all else
// that is done to a small commit beside fetching it.
func makeGitFolder(home, commit string) error {
	config := "[core]\n\trepositoryformatversion = 0\n"
	if len(commit) == 64 {
		config = "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha256\n"
	}
	err := os.Mkdir(home, 0o700)
	if err == nil {
		err = errors.Join(
			os.Mkdir(filepath.Join(home, "objects"), 0o700),
			os.Mkdir(filepath.Join(home, "refs"), 0o700),
			os.WriteFile(filepath.Join(home, "config"), []byte(config), 0o600),
			os.WriteFile(filepath.Join(home, "HEAD"), []byte("ref: refs/heads/main\n"), 0o600),
		)
	}
	if err != nil {
		return fmt.Errorf("make git folder: %w", err)
	}
	return nil
}
