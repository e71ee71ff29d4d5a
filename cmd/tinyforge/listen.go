package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// listen listens on the address of an option. Its error says what to do.
func listen(ctx context.Context, option, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, adviseListen(option, address, err)
	}
	return listener, nil
}

// adviseListen says what to do when the address of an option cannot be listened on.
func adviseListen(option, address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use: stop what listens there, or choose another address with --%s", address, option)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("only root may listen on %s: run as root, or choose a port above 1023 with --%s", address, option)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s is no address of this machine: choose another with --%s", address, option)
	}
	return fmt.Errorf("listen: %w; choose another address with --%s", err, option)
}
