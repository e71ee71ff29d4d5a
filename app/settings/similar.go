package settings

import (
	"cmp"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// similarNames are those of the names, two at most, that somebody may have meant who typed another one.
func similarNames(typed string, names []string) (similar []string) {
	typed = strings.ToLower(typed)
	const longest = 64 // no name is that long
	if len(typed) < 2 || len(typed) > longest {
		return nil
	}
	far := map[string]int{}
	for _, name := range names {
		n := levenshtein.Distance(typed, name, nil)
		switch {
		case strings.HasPrefix(name, typed) || strings.HasPrefix(typed, name):
			n = 0
		case strings.Contains(name, typed):
			n = min(n, 1)
		case n > len(typed)/3+1:
			continue
		}
		far[name] = n
		similar = append(similar, name)
	}
	slices.SortFunc(similar, func(a, b string) int {
		return cmp.Or(cmp.Compare(far[a], far[b]), cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	return similar[:min(len(similar), 2)]
}
