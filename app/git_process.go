package app

import (
	"context"
	"fmt"
	"os/exec"
)

// shell sets limits before git begins: set from outside, they would come too late for the children that it starts.
const shell = "/bin/sh"

// processLimits bound what each process of git takes: it reads a server's first answer into memory whole, and writes what
// comes after into one file.
type processLimits struct {
	memory int64 // bytes that it allocates
	file   int64 // bytes of each file that it writes
}

func defaultProcessLimits() processLimits {
	return processLimits{memory: 1 << 30, file: 6 << 30}
}

// command is the program at path, which has the limits, as have its children.
func (l processLimits) command(ctx context.Context, path string, args ...string) *exec.Cmd {
	if l == (processLimits{}) {
		return exec.CommandContext(ctx, path, args...)
	}
	script := fmt.Sprintf(`ulimit -d %d && ulimit -f %d && exec "$0" "$@"`, l.memory>>10, l.file>>9)
	return exec.CommandContext(ctx, shell, append([]string{"-c", script, path}, args...)...)
}
