package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"tinyforge/app/settings"
	"tinyforge/deploy/docker"
)

// machine is what the pages show of the server.
type machine struct {
	engine  *docker.Engine
	folder  string // of the data
	minFree int64
}

var _ settings.Server = machine{}

func (m machine) Docker(ctx context.Context) (string, error) { return m.engine.Version(ctx) }

func (m machine) Memory() (int64, error) {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("read size of memory: %w", err)
	}
	return int64(info.Totalram) * int64(info.Unit), nil //nolint:gosec // no machine has 8 exabytes
}

// Disk tells of Docker's disk or, where that cannot be told, of the data's.
func (m machine) Disk(ctx context.Context) (free, needed int64, err error) {
	free, err = m.engine.FreeSpace(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		var fs syscall.Statfs_t
		if err = syscall.Statfs(m.folder, &fs); err == nil {
			free = int64(fs.Bavail) * fs.Bsize //nolint:gosec // as above
		}
	}
	return free, m.minFree, err
}
