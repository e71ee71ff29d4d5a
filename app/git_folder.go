package app

import (
	"fmt"
	"os"
	"path/filepath"
)

// makeGitFolder makes home, which does not exist, what git takes for a repository without anything in it, whose hashes are
// as long as that of commit. It is what git init makes there (see gitrepository-layout), which takes longer than to check out a
// small commit.
func makeGitFolder(home, commit string) error {
	config := "[core]\n\trepositoryformatversion = 0\n"
	if len(commit) == 64 {
		config = "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha256\n"
	}
	for _, folder := range []string{home, filepath.Join(home, "objects"), filepath.Join(home, "refs")} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			return fmt.Errorf("make git folder: %w", err)
		}
	}
	for name, text := range map[string]string{"config": config, "HEAD": "ref: refs/heads/main\n"} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("make git folder: %w", err)
		}
	}
	return nil
}
