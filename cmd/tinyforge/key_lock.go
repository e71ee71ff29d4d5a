package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// errKeyInUse is returned by lockKey for one who wants the key alone.
var errKeyInUse = errors.New("the sealing key is in use")

// lockKey keeps the sealing key of a data folder as it is for as long as somebody works with it. Many may; one who changes it
// wants it alone, and gets errKeyInUse where that cannot be within a second: a process that is being started holds for a
// moment what the one that starts it holds. The others wait for that one. The lock ends with the process, however it ends.
func lockKey(ctx context.Context, c config, alone bool) (unlock func(), err error) {
	if err := isOwn(c.Data); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(c.Data, "key.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock sealing key: %w", err)
	}
	how := syscall.LOCK_SH
	if alone {
		how = syscall.LOCK_EX
	}
	patience := time.Now().Add(time.Second)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = file.Close() }, nil
		case !errors.Is(err, syscall.EWOULDBLOCK):
			_ = file.Close()
			return nil, fmt.Errorf("lock sealing key: %w", err)
		case alone && time.Now().After(patience):
			_ = file.Close()
			return nil, errKeyInUse
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			_ = file.Close()
			return nil, fmt.Errorf("lock sealing key: %w", ctx.Err())
		}
	}
}

// isOwn refuses a data folder that is another user's: what root leaves there its owner could not read.
func isOwn(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no data folder %s: give the --data of your tinyforge serve, or set TINYFORGE_DATA to it", dir)
	case err != nil:
		return fmt.Errorf("look at data folder: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) == os.Geteuid() {
		return nil
	}
	name := strconv.Itoa(int(owner.Uid))
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	return fmt.Errorf("the data folder %s belongs to the user %s: run this as that user, with sudo -u %s", dir, name, name)
}
