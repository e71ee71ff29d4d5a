//go:build chaos

package main

import (
	"os"
	"syscall"
)

// killPoint makes a program for tests kill itself at the point that is named in the file TINYFORGE_TEST_KILL.
func killPoint() func(string) {
	file := os.Getenv("TINYFORGE_TEST_KILL")
	return func(point string) {
		if armed, err := os.ReadFile(file); err != nil || string(armed) != point {
			return
		}
		_ = os.Remove(file)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // it is a signal: nothing more may be done
	}
}
