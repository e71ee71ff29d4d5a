package proxy

import (
	"context"
	"errors"
	"time"

	"tinyforge/db"
	"tinyforge/deploy"
)

// ask is the body of a request on the admin socket. Each call reads what it needs.
type ask struct {
	Route    db.Route
	Upstream deploy.Upstream
	Within   time.Duration // of a drain; 0 is at once
}

// reply is the body of an answer.
type reply struct {
	Upstream    deploy.Upstream
	All, Failed int64
	Known       bool
	Stats       []Stats
	Hosts       []string
	Targets     map[string]deploy.Target
	State       State
	Fault       *fault // nil for none
}

// State is what a proxy that runs by itself tells of itself.
type State struct {
	ID          string // another one for each process
	HTTP, HTTPS string // the addresses that it listens on; "" for none
	DataDir     string // its Config's
}

// fault is an error on its way to another process.
type fault struct {
	Text    string
	Is      []string // the sentinels that it is
	Failure *failure
}

type failure struct {
	Text  string
	Fault *db.Fault
}

// sentinels are the errors that callers look for, by their name on the way.
func sentinels() map[string]error {
	return map[string]error{
		"no_route": deploy.ErrNoRoute, "serving": ErrServing, "unsupported": errors.ErrUnsupported,
		"reserved": deploy.ErrReserved, "late": context.DeadlineExceeded, "canceled": context.Canceled,
	}
}

// newFault returns nil for nil.
func newFault(err error) *fault {
	if err == nil {
		return nil
	}
	f := &fault{Text: err.Error()}
	for name, sentinel := range sentinels() {
		if errors.Is(err, sentinel) {
			f.Is = append(f.Is, name)
		}
	}
	if said, ok := errors.AsType[*deploy.Failure](err); ok {
		f.Failure = &failure{said.Text, said.Fault}
	}
	return f
}

// err is the other way round.
func (f *fault) err() error {
	if f == nil {
		return nil
	}
	e := &distantError{text: f.Text}
	for _, name := range f.Is {
		if sentinel, known := sentinels()[name]; known {
			e.causes = append(e.causes, sentinel)
		}
	}
	if f.Failure != nil {
		e.causes = append(e.causes, &deploy.Failure{Text: f.Failure.Text, Fault: f.Failure.Fault})
	}
	return e
}

// distantError is an error of another process: its words, and what of its causes is known here.
type distantError struct {
	text   string
	causes []error
}

func (e *distantError) Error() string { return e.text }

// Unwrap gives the causes.
func (e *distantError) Unwrap() []error { return e.causes }

// AwayError is that nobody answers on the admin socket, or another version that does not know what it is asked. It is the cause of a *deploy.Failure.
type AwayError struct {
	Err   error
	Other bool // another version answers
}

func (e *AwayError) Error() string { return e.Err.Error() }

// Unwrap gives the system's error.
func (e *AwayError) Unwrap() error { return e.Err }
