package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// manifestFault is one thing that is wrong with a manifest. It holds no value that may be secret.
type manifestFault struct {
	Path   string // "workloads[0].config.healthcheck.path"; "" is the file itself
	Line   int    // from 1; 0 when it is not known
	Column int
	Text   string // what is wrong, and where it is not plain, what to do
}

func (f manifestFault) Error() string {
	where := cmp.Or(f.Path, "file")
	if f.Line > 0 {
		where += fmt.Sprintf(" (line %d)", f.Line)
	}
	return where + ": " + f.Text
}

// manifestFaults is everything that is wrong with a manifest, in the order of the file.
type manifestFaults []manifestFault

func (f manifestFaults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// err puts the faults in order and keeps the first of each path, since others follow from it. It is nil when there are
// none.
func (f manifestFaults) err() error {
	if len(f) == 0 {
		return nil
	}
	seen := map[string]bool{}
	var all manifestFaults
	for _, fault := range f {
		if !seen[fault.Path] {
			all = append(all, fault)
		}
		seen[fault.Path] = true
	}
	slices.SortStableFunc(all, func(a, b manifestFault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Path, b.Path))
	})
	return all
}
