package proxy

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// giveUpAfter makes connections end with ETIMEDOUT when what was sent on them is not acknowledged for so long.
func giveUpAfter(limit time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) (err error) {
		if outer := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(limit.Milliseconds())) //nolint:gosec // it is an int
		}); outer != nil {
			return outer
		}
		return err
	}
}
