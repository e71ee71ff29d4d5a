package main

import (
	"errors"

	"github.com/docker/go-units"
)

// byteSize is an option that is a number of bytes, written as people do: "2GB". Units are powers of 1024.
type byteSize int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *byteSize) UnmarshalText(text []byte) error {
	n, err := units.RAMInBytes(string(text))
	if err != nil || n < 0 {
		return errors.New(`give a size such as 512MB or 2GB`)
	}
	*s = byteSize(n)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (s byteSize) MarshalText() ([]byte, error) { return []byte(units.BytesSize(float64(s))), nil }
