package webhooks

import (
	"fmt"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"tinyforge/app"
	"tinyforge/db"
)

// match returns the workloads that a push moves and, where there are none, why.
func match(push app.Push, repo db.Repository, workloads []db.Workload) (moved []db.Workload, reason string) {
	what := "push to " + shortRef(push.Ref)
	switch {
	case push.Deleted:
		return nil, shortRef(push.Ref) + " was deleted: nothing is deployed"
	case push.Commit == "":
		return nil, what + " names no commit"
	case len(workloads) == 0:
		return nil, "no workload uses " + repo.FullName
	}
	reason = what + ": no workload follows it"
	for _, w := range workloads {
		switch {
		case !app.Follows(w, repo, push.Ref):
		case !w.Enabled:
			reason = fmt.Sprintf("%s: workload %s is disabled", what, w.Name)
		case push.FilesComplete && !touches(w.Paths, push.Files):
			reason = fmt.Sprintf("%s: changes no file that workload %s looks at", what, w.Name)
		default:
			moved = append(moved, w)
		}
	}
	if len(moved) > 0 {
		return moved, ""
	}
	return nil, reason
}

// touches tells whether one of the files passes the workload's filter: it matches a pattern, and no pattern that begins
// with "!". A filter of nothing but "!" patterns passes all others.
func touches(patterns, files []string) bool {
	if len(patterns) == 0 {
		return true
	}
	var include, exclude []string
	for _, p := range patterns {
		if rest, not := strings.CutPrefix(p, "!"); not {
			exclude = append(exclude, rest)
		} else {
			include = append(include, p)
		}
	}
	for _, file := range files {
		if (len(include) == 0 || matchAny(include, file)) && !matchAny(exclude, file) {
			return true
		}
	}
	return false
}

func matchAny(patterns []string, file string) bool {
	for _, p := range patterns {
		if doublestar.MatchUnvalidated(p, file) {
			return true
		}
	}
	return false
}

func shortRef(ref string) string {
	return strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/")
}
