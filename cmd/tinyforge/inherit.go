package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// firstInherited is the file descriptor of the first socket that a service manager hands over.
const firstInherited = 3

// inherited returns the listeners that the service manager has opened for this process (systemd's LISTEN_FDS), by their names.
// It keeps them open between one process and the next, so that who connects meanwhile waits and is not refused.
func inherited() (map[string]net.Listener, error) {
	if pid, err := strconv.Atoi(os.Getenv("LISTEN_PID")); err != nil || pid != os.Getpid() {
		return nil, nil
	}
	count, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || count < 1 {
		return nil, nil
	}
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	if len(names) != count {
		return nil, fmt.Errorf("take over sockets: %d are handed over with the names %q: give each a FileDescriptorName", count, names)
	}
	all := map[string]net.Listener{}
	for i, name := range names {
		file := os.NewFile(uintptr(firstInherited+i), name)
		ln, err := net.FileListener(file)
		_ = file.Close()
		if err != nil {
			return nil, fmt.Errorf("take over the socket %q: %w", name, err)
		}
		all[name] = ln
	}
	return all, nil
}
