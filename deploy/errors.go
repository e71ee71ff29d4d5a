package deploy

import (
	"cmp"
	"errors"
	"regexp"
	"strings"

	"tinyforge/db"
)

// ErrNoRoute is returned by Router.Current.
var ErrNoRoute = errors.New("no such route")

// Failure is an error whose text is meant for the user: it says what went wrong and what to do, holds no secret, and fits
// a commit status. Any other error of a step is shown as "internal error" and logged.
type Failure struct {
	Text  string
	Fault *db.Fault // the same as a code, where there is one for it
	Err   error     // the cause, for the log; may be nil
}

// FaultOf makes the code of a failure with the values that its text names: name, value, name, value.
func FaultOf(code string, values ...string) *db.Fault {
	f := &db.Fault{Code: code}
	for i := 0; i+1 < len(values); i += 2 {
		if f.Values == nil {
			f.Values = map[string]string{}
		}
		f.Values[values[i]] = values[i+1]
	}
	return f
}

func (f *Failure) Error() string {
	switch {
	case f.Err == nil:
		return f.Text
	case strings.Contains(f.Err.Error(), f.Text): // a Failure of its own, to which a code was added
		return f.Err.Error()
	}
	return f.Text + ": " + f.Err.Error()
}

func (f *Failure) Unwrap() error { return f.Err }

var stuckContainer = regexp.MustCompile(`task ([0-9a-f]{64}): already exists|/([0-9a-f]{64}): file exists`)

// StuckContainer is the id of a container that Docker never starts again, since a daemon that ended has left its task behind, or
// the folder of it (seen with Docker 20.10: each start answers 500 "task ID: already exists" or "failed to start shim: mkdir
// .../moby/ID: file exists", and removing works; moby/moby#50040); "" when err is another.
func StuckContainer(err error) string {
	if err == nil {
		return ""
	}
	if found := stuckContainer.FindStringSubmatch(err.Error()); found != nil {
		return cmp.Or(found[1], found[2])
	}
	return ""
}
