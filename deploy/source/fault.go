package source

import (
	"cmp"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a config. It holds no value of the config that may be secret.
type Fault struct {
	Path string // where, from the config's root: "healthcheck.path", "volumes[0].name"; "" is the config itself
	Text string // what is wrong, and where it is not plain, what to do
}

func (f Fault) Error() string { return cmp.Or(f.Path, "config") + ": " + f.Text }

// Faults is everything that is wrong with a config, at most one Fault for each path, in order of path. It is never empty.
type Faults []Fault

func (f Faults) Error() string {
	texts := make([]string, len(f))
	for i, fault := range f {
		texts[i] = fault.Error()
	}
	return strings.Join(texts, "\n")
}

// Unwrap gives errors.As each Fault.
func (f Faults) Unwrap() []error {
	errs := make([]error, len(f))
	for i, fault := range f {
		errs[i] = fault
	}
	return errs
}

// err orders the faults and drops those that follow from another: all but the first of a path, and all below a path that
// is wrong itself. It is nil when there are none.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	slices.SortStableFunc(f, func(a, b Fault) int { return cmp.Compare(a.Path, b.Path) })
	wrong := map[string]bool{}
	return slices.DeleteFunc(f, func(fault Fault) bool {
		follows := wrong[""] || wrong[fault.Path]
		for i, r := range fault.Path {
			follows = follows || (r == '.' || r == '[') && wrong[fault.Path[:i]]
		}
		wrong[fault.Path] = true
		return follows
	})
}

func faults(lists ...Faults) Faults { return slices.Concat(lists...) }
