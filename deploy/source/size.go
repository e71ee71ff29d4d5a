package source

import (
	"errors"

	"github.com/docker/go-units"
)

// size is a number of bytes, written as people do: "256MB", "1.5g". Units are powers of 1024, as Docker's are.
type size int64

// UnmarshalText reads such a size; "" is 0.
func (s *size) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*s = 0
		return nil
	}
	n, err := units.RAMInBytes(string(text))
	if err != nil || n < 0 {
		return errors.New(`must be a size such as "256MB" or "1GB"`)
	}
	*s = size(n)
	return nil
}
