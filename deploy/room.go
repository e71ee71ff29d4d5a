package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"github.com/docker/go-units"

	"tinyforge/db"
)

// room makes sure that Docker's disk has room for a build, and makes some where it has not. Where free space cannot be told
// it is taken for granted.
func (j *job) room(ctx context.Context) error {
	limits, err := j.limits(ctx)
	if err != nil {
		return err
	}
	free, err := j.Images.FreeSpace(ctx)
	for _, makeRoom := range []func(context.Context) error{j.tidy, j.Images.PruneBuildCache} {
		if err != nil || free >= limits.MinFree {
			break
		}
		j.log.Printf("Only %s are free on the disk of Docker: making room", inBytes(free))
		if err := makeRoom(ctx); err != nil {
			j.Log.WarnContext(ctx, "make room on the disk of docker", "error", err)
		}
		free, err = j.Images.FreeSpace(ctx)
	}
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return nil
	case err != nil:
		return err
	case free < limits.MinFree:
		return &Failure{Text: fmt.Sprintf("Only %s are free on the disk of Docker, and %s are wanted before a build: free some space, then redeploy",
			inBytes(free), inBytes(limits.MinFree)), Fault: diskLow(free, limits.MinFree)}
	}
	return nil
}

// roomForCheckout makes sure that the disk of the checkouts has room for one.
func (j *job) roomForCheckout(ctx context.Context) error {
	limits, err := j.limits(ctx)
	if err != nil {
		return err
	}
	workspace := cmp.Or(j.Config.Workspace, os.TempDir())
	if free, err := FreeSpace(workspace); err == nil && free < limits.MinFree {
		return &Failure{Text: fmt.Sprintf("Only %s are free on the disk of %s, and %s are wanted for a checkout: free some space, then redeploy",
			inBytes(free), workspace, inBytes(limits.MinFree)), Fault: diskLow(free, limits.MinFree)}
	}
	return nil
}

func diskLow(free, need int64) *db.Fault {
	return FaultOf("disk_low", "free", strconv.FormatInt(free, 10), "need", strconv.FormatInt(need, 10))
}

// FreeSpace returns what is free for us on the disk of a folder.
func FreeSpace(dir string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, err
	}
	return int64(fs.Bavail) * fs.Bsize, nil
}

func inBytes(n int64) string { return units.BytesSize(float64(n)) }
