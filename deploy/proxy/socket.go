package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"
)

// longestSocket is what fits the system's address of a socket, with its final zero.
const longestSocket = 107

// listenSocket listens on a unix socket that its owner alone may use. One that a killed process has left is replaced; one
// on which somebody listens is not.
func listenSocket(ctx context.Context, path string) (net.Listener, error) {
	fresh := path + ".new"
	if len(fresh) > longestSocket {
		return nil, fmt.Errorf("%s is too long for a socket: use a path of at most %d bytes", path, longestSocket-len(".new"))
	}
	if err := checkFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := checkUnused(ctx, path); err != nil {
		return nil, err
	}
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "unix", fresh)
	if err != nil {
		return nil, err
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(fresh, 0o600), os.Rename(fresh, path)); err != nil { // never there with other rights
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}

func checkFolder(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no folder %s to make the socket in", path)
	case err != nil:
		return fmt.Errorf("look at folder of socket: %w", err)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("everybody may write to %s, and so replace the socket: use a folder of your own", path)
	}
	return nil
}

// checkUnused finds whoever listens on the socket, and what is no socket.
func checkUnused(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there and is no socket: use another path", path)
	}
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil
	}
	_ = conn.Close()
	return fmt.Errorf("another proxy listens on %s: stop it, or use another path", path)
}
