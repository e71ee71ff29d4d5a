package site

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with the rules of a site.
type Fault struct {
	At   string // "redirects[0].from" or "_redirects, line 3"
	Text string // what is wrong, and where it is not plain, what to do
}

func (f Fault) Error() string { return f.At + ": " + f.Text }

// Faults is everything that was found to be wrong. It is never empty.
type Faults []Fault

func (f Faults) Error() string {
	const most = 20
	var texts []string
	for i, fault := range f {
		if i == most {
			texts = append(texts, fmt.Sprintf("and %d more", len(f)-most))
			break
		}
		texts = append(texts, fault.Error())
	}
	return strings.Join(texts, "\n")
}
