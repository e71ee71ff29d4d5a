package main

import (
	"fmt"
	"strings"
)

// unknownKey says what key could have been meant to be.
func unknownKey(key string, known []string) string {
	best, fewest := "", len(key)/3+2
	for _, name := range known {
		if n := edits(strings.ToLower(key), name); n < fewest {
			best, fewest = name, n
		}
	}
	if best == "" {
		return "is not a known key: use " + strings.Join(known, ", ")
	}
	return fmt.Sprintf("is not a known key: did you mean %q?", best)
}

// edits is the Levenshtein distance in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
