package site

import (
	"fmt"
	"strings"
)

// maxHops is how many redirects browsers follow.
const maxHops = 20

// checkLoops follows each redirect from a path that it matches, as a browser would. The error is a Faults that names the
// paths of the first loop.
func (s *Site) checkLoops() error {
	for i, r := range s.rules {
		if !r.redirects() {
			continue
		}
		if hops := s.follow(r.from.sample()); hops != nil {
			return Faults{r.fault(i, "from", r.From, "never arrives: "+strings.Join(hops, " -> "))}
		}
	}
	return nil
}

// follow returns the way from a path when it leads back to where it was or nowhere within maxHops; nil when it arrives.
func (s *Site) follow(path string) []string {
	hops, been := []string{path}, map[string]bool{path: true}
	for range maxHops {
		at := split(path)
		_, canonical, exists := s.find(at)
		next, redirected := canonical, exists && canonical != ""
		if r, values := s.rule(at, exists); r != nil {
			if !r.redirects() || !r.to.local() {
				return nil
			}
			next, redirected = r.to.path(values), true
		}
		if !redirected {
			return nil
		}
		hops = append(hops, next)
		if been[next] {
			return hops
		}
		path, been[next] = next, true
	}
	return append(hops[:4:4], fmt.Sprintf("and so on, beyond the %d redirects that browsers follow", maxHops))
}
