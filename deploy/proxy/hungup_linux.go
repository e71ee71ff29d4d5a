package proxy

import (
	"crypto/tls"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// hungUp tells whether the other side closed a connection, also when there is something left to read. It reads nothing. What
// the other side could not send yet hides that it closed.
func hungUp(c net.Conn) bool {
	if secured, ok := c.(*tls.Conn); ok {
		c = secured.NetConn()
	}
	raw, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	conn, err := raw.SyscallConn()
	if err != nil {
		return false
	}
	closed := false
	_ = conn.Control(func(fd uintptr) {
		state := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}} //nolint:gosec // it is an int32
		n, err := unix.Poll(state, 0)
		closed = err == nil && n > 0
	})
	return closed
}
