package deploy

import (
	"errors"
	"io"
	"strings"
	"syscall"
)

// IsBroken tells whether an error means that a connection could not be made, or broke.
func IsBroken(err error) bool {
	for _, broken := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, broken) {
			return true
		}
	}
	return false
}

// FullText is what the user is told when Docker's disk is full.
const FullText = "The disk of the Docker host is full (no space left on device): free some space, then deploy again"

// IsFull tells whether a program complains that a disk is full.
func IsFull(text string) bool {
	return strings.Contains(strings.ToLower(text), "no space left on device")
}
