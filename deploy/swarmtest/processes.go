package swarmtest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// mark is the variable by which daemons, and what they start but containers, are known to be a node's. Its value is the
// node's folder.
const mark = "SWARMTEST_NODE"

// endAll kills, as kill -9 does, every process that is marked with the folder or one below it, and every process in a cgroup
// whose path begins with cgroup. It returns when none is left.
func endAll(folder, cgroup string) error {
	deadline, tick := time.After(20*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for {
		left, err := processes(folder, cgroup)
		if err != nil || len(left) == 0 {
			return err
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		select {
		case <-deadline:
			return fmt.Errorf("end processes of %s: %v do not end", folder, left)
		case <-tick.C:
		}
	}
}

// processes are those that endAll ends. One that ended and was not yet waited for is none.
func processes(folder, cgroup string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && pid != os.Getpid() && (isMarked(pid, folder) || inCgroup(pid, cgroup)) {
			found = append(found, pid)
		}
	}
	return found, nil
}

func isMarked(pid int, folder string) bool {
	environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)) // of one that ended it is empty
	for v := range bytes.SplitSeq(environ, []byte{0}) {
		if value, ok := strings.CutPrefix(string(v), mark+"="); ok {
			return value == folder || strings.HasPrefix(value, folder+"/")
		}
	}
	return false
}

func inCgroup(pid int, cgroup string) bool {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if _, after, _ := strings.Cut(string(stat), ") "); strings.HasPrefix(after, "Z") {
		return false
	}
	return slices.ContainsFunc(strings.Split(string(text), "\n"), func(line string) bool {
		fields := strings.SplitN(line, ":", 3)
		return len(fields) == 3 && strings.HasPrefix(fields[2], cgroup)
	})
}

// removeCgroups removes those of a node, in every hierarchy. Its processes must have ended.
func removeCgroups(cgroup string) error {
	tops, _ := filepath.Glob("/sys/fs/cgroup" + cgroup)
	more, _ := filepath.Glob("/sys/fs/cgroup/*" + cgroup)
	var errs []error
	for _, top := range append(tops, more...) {
		if info, err := os.Lstat(filepath.Dir(top)); err != nil || info.Mode()&fs.ModeSymlink != 0 {
			continue
		}
		var folders []string
		_ = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				folders = append(folders, path)
			}
			return nil
		})
		slices.Reverse(folders)
		for _, f := range folders {
			if err := syscall.Rmdir(f); err != nil && !errors.Is(err, syscall.ENOENT) {
				errs = append(errs, fmt.Errorf("remove cgroup %s: %w", f, err))
			}
		}
	}
	return errors.Join(errs...)
}
