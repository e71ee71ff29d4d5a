package proxy

import (
	"os"
	"syscall"
	"testing"
)

// redirectStderr makes f the process's standard error, also for those who hold the old os.Stderr.
func redirectStderr(t *testing.T, f *os.File) (restore func()) {
	t.Helper()
	saved, err := syscall.Dup(2)
	must(t, err)
	must(t, syscall.Dup3(int(f.Fd()), 2, 0))
	return func() {
		must(t, syscall.Dup3(saved, 2, 0))
		_ = syscall.Close(saved)
	}
}
