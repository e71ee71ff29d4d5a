package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tinyforge/db/dbtest"
)

// piped runs the program as a process with these for its standard input and output, and returns what it says besides.
func piped(t *testing.T, env []string, in, out *os.File, args ...string) (string, error) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = append(append(os.Environ(), env...), asProcess+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, &said
	err = cmd.Run()
	return said.String(), err
}

// TestBackupThroughPipes: what comes out of standard output is a backup and nothing else, and goes in again; one that does not
// get through is an error that says so.
func TestBackupThroughPipes(t *testing.T) {
	t.Parallel()
	was, _ := backedUp(t, dbtest.SQLite(t))
	env := []string{"TINYFORGE_DATA=" + was.Data, "TINYFORGE_DATABASE=" + was.Database}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "backup.gz"))
	must(err)
	defer file.Close()
	if said, err := piped(t, env, nil, file, "backup", dash, "--with-key"); err != nil || !strings.Contains(said, " rows and 1 file are in standard output\n") {
		t.Fatalf("%v, %q", err, said)
	}
	_, err = file.Seek(0, 0)
	must(err)
	c, empty := emptyPlace(t, dbtest.SQLite(t))
	if said, err := piped(t, empty, file, nil, "restore", dash); err != nil {
		t.Fatalf("%v, %q", err, said)
	}
	restored(t, c, was)

	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	must(err)
	defer full.Close()
	gone, closed, err := os.Pipe()
	must(err)
	must(gone.Close())
	defer closed.Close()
	for name, out := range map[string]*os.File{"no space left": full, "broken pipe": closed} {
		if said, err := piped(t, env, nil, out, "backup", dash); err == nil || !strings.Contains(said, name) || !strings.Contains(said, "no whole backup") {
			t.Errorf("%s: %v, %q", name, err, said)
		}
	}
	_, empty = emptyPlace(t, dbtest.SQLite(t))
	if said, err := piped(t, empty, nil, nil, "restore", dash); err == nil || !strings.Contains(said, "standard input is no backup") {
		t.Errorf("of nothing: %v, %q", err, said)
	}
}
