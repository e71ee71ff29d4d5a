package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
)

// machine is what it was measured on.
type machine struct {
	Cores  int
	CPU    string
	Memory int64 // bytes
	System string
	Kernel string
	Go     string
	Load   string // average of the last minute, when it began
}

func thisMachine() machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version(), CPU: fieldOf("/proc/cpuinfo", "model name"), System: fieldOf("/etc/os-release", "PRETTY_NAME")}
	kilobytes, _, _ := strings.Cut(fieldOf("/proc/meminfo", "MemTotal"), " ")
	if n, err := strconv.ParseInt(kilobytes, 10, 64); err == nil {
		m.Memory = n << 10
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(release))
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(load), " ")
	}
	return m
}

func (m machine) String() string {
	return fmt.Sprintf("%d cores (%s), %d GiB, %s, Linux %s, %s, load %s when it began", m.Cores, m.CPU, m.Memory>>30, m.System, m.Kernel, m.Go, m.Load)
}

// fieldOf is what follows a name and ":" or "=" in a file, "" when it is not there.
func fieldOf(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, found := strings.Cut(lines.Text(), ":")
		if !found || strings.TrimSpace(key) != name {
			key, value, found = strings.Cut(lines.Text(), "=")
		}
		if found && strings.TrimSpace(key) == name {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}

// output is the first line of what a program says, or "".
func output(name string, args ...string) string {
	out, err := exec.CommandContext(context.Background(), name, args...).CombinedOutput()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}
