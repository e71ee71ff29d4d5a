package deploytest

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// ErrKilled is what every call of a fake returns once a KillAt hook has killed the process under test.
var ErrKilled = errors.New("process killed")

// Hook is called by the fakes of this package before and after each side effect, with the name of the point:
// "router.upsert:before", "router.upsert:after", "runtime.start:after". An error becomes the error of the call: before,
// nothing has happened yet; after, it has. A hook may be called from several goroutines. A nil Hook does nothing.
type Hook func(point string) error

// Call runs effect between the two points of a call.
func (h Hook) Call(name string, effect func() error) error {
	if err := h.at(name + ":before"); err != nil {
		return err
	}
	if err := effect(); err != nil {
		return err
	}
	return h.at(name + ":after")
}

func (h Hook) at(point string) error {
	if h == nil {
		return nil
	}
	return h(point)
}

// FailAt fails one point, every time it is reached.
func FailAt(point string, err error) Hook {
	return func(p string) error {
		if p != point {
			return nil
		}
		return fmt.Errorf("%s: %w", p, err)
	}
}

// FailOnce fails one point the first time it is reached.
func FailOnce(point string, err error) Hook {
	var done atomic.Bool
	return func(p string) error {
		if p != point || !done.CompareAndSwap(false, true) {
			return nil
		}
		return fmt.Errorf("%s: %w", p, err)
	}
}

// KillAt kills the process under test at the n-th point, counted from 1: that point and every later one return
// ErrKilled, so that nothing which the process still tries has an effect on what survives it. One hook is shared by all
// fakes of the process.
func KillAt(n int64) Hook {
	var reached atomic.Int64
	return func(p string) error {
		if reached.Add(1) < n {
			return nil
		}
		return fmt.Errorf("%s: %w", p, ErrKilled)
	}
}

// Death is what a PanicAt hook panics with.
type Death struct{ Point string }

// PanicAt panics with a Death at the n-th point, counted from 1, and only there.
func PanicAt(n int64) Hook {
	var reached atomic.Int64
	return func(p string) error {
		if reached.Add(1) == n {
			panic(Death{Point: p})
		}
		return nil
	}
}

// Record calls seen at every point and changes nothing.
func Record(seen func(point string)) Hook {
	return func(p string) error {
		seen(p)
		return nil
	}
}

// Chain calls hooks in order up to the first error.
func Chain(hooks ...Hook) Hook {
	return func(p string) error {
		for _, h := range hooks {
			if err := h.at(p); err != nil {
				return err
			}
		}
		return nil
	}
}
