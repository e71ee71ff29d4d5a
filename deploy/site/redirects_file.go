package site

import (
	"fmt"
	"strconv"
	"strings"

	"tinyforge/deploy/shorten"
)

// ReadRedirects reads a _redirects file: on each line a path, where it leads and, if it is not 301, a status; one with "!"
// holds where there is a file too. All that is wrong is returned; what the rules say is checked by New.
func ReadRedirects(text []byte) (list []Redirect, all Faults) {
	lines, all := readLines(RedirectsFile, text)
	for _, l := range lines {
		r, problem := parseRedirect(strings.Fields(l.text))
		if problem != "" {
			all = append(all, Fault{l.at, problem})
			continue
		}
		r.At = l.at
		list = append(list, r)
	}
	return list, all
}

// parseRedirect returns what is wrong with a line, in words.
func parseRedirect(words []string) (r Redirect, problem string) {
	for i, w := range words {
		if strings.HasPrefix(w, "#") {
			words = words[:i]
			break
		}
	}
	r.From = words[0]
	for i, w := range words[1:] {
		status, force := strings.CutSuffix(w, "!")
		n, err := strconv.Atoi(status)
		switch {
		case r.To == "" && strings.Contains(w, "=") && !isTarget(w):
			return r, fmt.Sprintf("has a condition about the query, %q, which is not supported", shorten.Typed(w))
		case r.To == "":
			r.To = w
		case strings.Contains(w, "="):
			return r, fmt.Sprintf("has the condition %q: conditions about language, country, role or cookie are not supported", shorten.Typed(w))
		case err != nil || i > 1:
			return r, fmt.Sprintf("has %q where it should end: write a path, where it leads, and a status such as 302", shorten.Typed(w))
		default:
			r.Status, r.Force = n, force
			if n == 0 {
				r.Status = -1 // not "none was given"
			}
		}
	}
	if r.To == "" {
		return r, "does not say where the path leads: write a path, where it leads, and a status such as 302"
	}
	return r, ""
}

func isTarget(word string) bool { return strings.HasPrefix(word, "/") || strings.Contains(word, "://") }
