package source

import (
	"fmt"
	"strings"

	"github.com/agext/levenshtein"
)

// UnknownKey says of a key that is not known which one was probably meant: the end of a sentence that begins with it.
func UnknownKey(key string, known []string) string {
	if name := nearest(key, known); name != "" {
		return fmt.Sprintf("is not a known key: did you mean %q?", name)
	}
	return "is not a known key: use " + strings.Join(known, ", ")
}

// nearest returns the known name that takes the fewest edits to get to from key, or "" when none is near.
func nearest(key string, known []string) string {
	const longest = 64 // no name is that long
	if len(key) > longest {
		return ""
	}
	best, fewest := "", len(key)/3+2
	for _, name := range known {
		if n := levenshtein.Distance(strings.ToLower(key), name, nil); n < fewest {
			best, fewest = name, n
		}
	}
	return best
}
