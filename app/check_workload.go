package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"tinyforge/db"
)

// What people may write into a workload's row. Each function says what is wrong, as the end of a sentence that begins with
// what was written; "" means nothing is.

// MostName is how long the name of a workload or forge may be.
const MostName = 40

// CheckName is for names that become part of a host name or a path.
func CheckName(s string) string {
	if len(s) > MostName || !isLabel(s) {
		return fmt.Sprintf("must have 1 to %d lower-case letters, digits and '-', and neither begin nor end with '-'", MostName)
	}
	return ""
}

// CheckHost is for the hosts of a workload; "" is none.
func CheckHost(s string) string {
	labels := strings.Split(s, ".")
	last := labels[len(labels)-1]
	switch {
	case s == "":
		return ""
	case strings.Contains(s, "*"):
		return `is a wildcard, which no router here takes: write each host by its name, the first as host and the others under route.hosts`
	case strings.ContainsAny(s, "/?#@"):
		return `must be a host name alone, such as "www.example.com", without "https://" and without a path`
	case strings.Contains(s, ":"):
		return `must be a host name without a port, such as "www.example.com"`
	case strings.ToLower(s) != s:
		return "must be written in lower case"
	case len(s) > 253, slices.ContainsFunc(labels, func(l string) bool { return !isLabel(l) }):
		return `is not a host name: use letters, digits, '-' and '.', such as "www.example.com"; other scripts in their xn-- form`
	case !strings.ContainsFunc(last, isLetter):
		return "must be a name, not an address"
	}
	return ""
}

// CheckRef is for a RefPattern. It is strict where git is: no ref has such a name.
func CheckRef(s string) string {
	switch {
	case strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f || strings.ContainsRune("~:", c) }),
		strings.HasPrefix(s, "/"), strings.HasSuffix(s, "/"), strings.Contains(s, "//"), strings.Contains(s, ".."):
		return `matches no branch or tag: use a pattern such as "main", "release/*" or "tags/v*"`
	case !doublestar.ValidatePattern(s):
		return badPattern
	}
	return ""
}

const badPattern = `is not a valid pattern: brackets and braces must be closed, and "\" must not be last`

// CheckPath is for an entry of a workload's Paths.
func CheckPath(s string) string {
	pattern := strings.TrimPrefix(s, "!")
	switch {
	case pattern == "":
		return "is empty"
	case strings.HasPrefix(pattern, "/"), slices.ContainsFunc(strings.Split(pattern, "/"), isDots):
		return `matches no file: write it from the top of the repository, such as "app/**", without "/", "./" or "../" before it`
	case !doublestar.ValidatePattern(pattern):
		return badPattern
	}
	return ""
}

// CheckEnvName is for the name of a variable of the environment.
func CheckEnvName(s string) string {
	bad := func(c rune) bool { return !isLetter(c) && !isDigit(c) && !strings.ContainsRune("_.-", c) }
	if s == "" || strings.ContainsFunc(s, bad) || !isLetter(rune(s[0])) && s[0] != '_' {
		return "must begin with a letter or '_' and hold only letters, digits, '_', '.' and '-'"
	}
	return ""
}

func isDots(segment string) bool { return segment == "." || segment == ".." }
func isLetter(c rune) bool       { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isDigit(c rune) bool        { return '0' <= c && c <= '9' }

func isLabel(s string) bool {
	bad := func(c rune) bool { return !('a' <= c && c <= 'z') && !isDigit(c) && c != '-' }
	return s != "" && len(s) <= 63 && !strings.ContainsFunc(s, bad) && s[0] != '-' && s[len(s)-1] != '-'
}

// Follows tells whether a workload's pattern matches a ref. A pattern is a branch ("main", "release/*"), a tag ("tags/v*") or
// a whole ref ("refs/heads/main"); "*" stays within a path segment, "**" does not. No pattern means the default branch.
func Follows(w db.Workload, repo db.Repository, ref string) bool {
	pattern := w.RefPattern
	switch {
	case pattern == "":
		return repo.DefaultBranch != "" && ref == "refs/heads/"+repo.DefaultBranch
	case strings.HasPrefix(pattern, "refs/"):
	case strings.HasPrefix(pattern, "tags/"):
		pattern = "refs/" + pattern
	default:
		pattern = "refs/heads/" + pattern
	}
	return doublestar.MatchUnvalidated(pattern, ref)
}
