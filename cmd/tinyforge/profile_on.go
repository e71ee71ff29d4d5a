//go:build profile

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"runtime/trace"
)

// profile writes a CPU profile, and a trace of the execution, into the folders that cmd/bench has named, until end is called.
func profile() (end func()) {
	endProfile := into("TINYFORGE_TEST_CPUPROFILE", "cpu", func(f *os.File) error { return pprof.StartCPUProfile(f) }, pprof.StopCPUProfile)
	endTrace := into("TINYFORGE_TEST_TRACE", "trace", func(f *os.File) error { return trace.Start(f) }, trace.Stop)
	return func() { endTrace(); endProfile() }
}

func into(variable, extension string, start func(*os.File) error, stop func()) (end func()) {
	folder := os.Getenv(variable)
	if folder == "" {
		return func() {}
	}
	f, err := os.Create(filepath.Join(folder, fmt.Sprintf("%s-%d.%s", os.Args[1], os.Getpid(), extension)))
	if err == nil {
		err = start(f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		return func() {}
	}
	return func() { stop(); _ = f.Close() }
}
