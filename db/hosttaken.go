package db

import "fmt"

// HostTakenError is the ErrHostTaken that tells whose the host is.
type HostTakenError struct {
	Host     string
	Workload string // its name
}

func (e *HostTakenError) Error() string {
	return fmt.Sprintf("%s is a host of the workload %s", e.Host, e.Workload)
}

func (e *HostTakenError) Unwrap() error { return ErrHostTaken }
