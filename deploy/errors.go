package deploy

import "errors"

// ErrNoRoute is returned by Router.Current.
var ErrNoRoute = errors.New("no such route")

// Failure is an error whose text is meant for the user: it says what went wrong and what to do, holds no secret, and fits
// a commit status. Any other error of a step is shown as "internal error" and logged.
type Failure struct {
	Text string
	Err  error // the cause, for the log; may be nil
}

func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Text
	}
	return f.Text + ": " + f.Err.Error()
}

func (f *Failure) Unwrap() error { return f.Err }
