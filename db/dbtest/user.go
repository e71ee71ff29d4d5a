package dbtest

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// Unprivileged says as whom a server runs, since PostgreSQL refuses to run as root: as user postgres or nobody when we
// are root, else as ourselves. It gets a session of its own, so that an interrupt at the terminal ends it through its
// standard input, with everything cleaned up.
func Unprivileged() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if os.Geteuid() != 0 {
		return attr
	}
	const nobody = 65534
	attr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	if u, err := user.Lookup("postgres"); err == nil {
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return attr
}
