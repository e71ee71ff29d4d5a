package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestDatabaseIsPrivate: also where somebody made the file first; what is in use keeps the mode that it was given.
func TestDatabaseIsPrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, tt := range map[string]struct {
		text string
		want os.FileMode
	}{"absent": {"", 0o600}, "empty": {"", 0o600}, "in use": {"rows", 0o640}} {
		path := filepath.Join(dir, name)
		if name != "absent" {
			if err := errors.Join(os.WriteFile(path, []byte(tt.text), 0o600), os.Chmod(path, 0o640)); err != nil {
				t.Fatal(err)
			}
		}
		if err := makePrivate(path); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != tt.want {
			t.Errorf("%s: %v, %v, want %v", name, info.Mode(), err, tt.want)
		}
	}
}
