package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"
)

// dash stands for standard output or standard input where a file is asked for.
const dash = "-"

// openFiles is where a process finds the files that it has open, by number, whatever became of their names.
const openFiles = "/proc/self/fd/"

// toStandardOutput writes what is a whole only if all of it comes through. Nobody reading any more is an error like others.
func toStandardOutput(out io.Writer, write func(io.Writer) error) error {
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return errors.New("standard output is a terminal, which would spoil the backup: send it to a file, and give docker compose exec or run the option -T")
	}
	signal.Ignore(syscall.SIGPIPE)
	if err := write(out); err != nil {
		return fmt.Errorf("write backup to standard output: %w; what came out is no whole backup: throw it away", err)
	}
	return nil
}

// fromStandardInput keeps what comes in, for it is read more than once, in a file that has no name and goes with the process.
func fromStandardInput(in io.Reader) (*os.File, error) {
	file, err := os.CreateTemp("", "tinyforge-restore-")
	if err != nil {
		return nil, fmt.Errorf("keep standard input: %w", err)
	}
	err = os.Remove(file.Name())
	if err == nil {
		_, err = io.Copy(file, in)
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("keep standard input: %w; set TMPDIR to a folder with room", err)
	}
	return file, nil
}

// called is a backup's file as people know it.
func called(file string) string {
	if strings.HasPrefix(file, openFiles) {
		return "standard input"
	}
	return file
}
