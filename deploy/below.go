package deploy

import (
	"encoding/hex"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Below tells whether a path, as it was sent, is one of the prefixes or below it, which is meant segment by segment:
// "/app" is not a prefix of "/application". The longest that fits is returned, and what follows it, as it was sent. A path
// that somebody could read as leading out again, such as "/app/..%2fadmin", is below nothing.
func Below(prefixes []string, escaped string) (prefix, rest string, ok bool) {
	if climbs(escaped) {
		return "", "", false
	}
	for _, p := range prefixes {
		if after, fits := cutSegments(escaped, p); fits && len(p) > len(prefix) {
			prefix, rest, ok = p, after, true
		}
	}
	return prefix, rest, ok
}

// cutSegments is strings.CutPrefix for whole segments. An encoded slash is part of a segment.
func cutSegments(escaped, prefix string) (rest string, ok bool) {
	rest = escaped
	for want := range strings.SplitSeq(strings.TrimPrefix(prefix, "/"), "/") {
		after, found := strings.CutPrefix(rest, "/")
		if !found {
			return "", false
		}
		end := strings.IndexByte(after, '/')
		if end < 0 {
			end = len(after)
		}
		if segment, err := url.PathUnescape(after[:end]); err != nil || segment != want {
			return "", false
		}
		rest = after[end:]
	}
	return rest, true
}

// escapes matches what a server decodes that is content with the rest.
var escapes = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// unsound are bytes of no path that anybody means: NUL, at which some end, and characters of ASCII written at greater length,
// which some take for them.
var unsound = []string{"\x00", "\xc0", "\xc1", "\xe0\x80", "\xf0\x80"}

// climbs tells whether there is a "." or ".." segment for a server that decodes once or several times, takes a backslash
// for a slash, or leaves out what follows a semicolon.
func climbs(escaped string) bool {
	for range 4 {
		segments := strings.FieldsFunc(escaped, func(c rune) bool { return c == '/' || c == '\\' })
		if slices.ContainsFunc(segments, isDots) {
			return true
		}
		if slices.ContainsFunc(unsound, func(bytes string) bool { return strings.Contains(escaped, bytes) }) {
			return true
		}
		plain := escapes.ReplaceAllStringFunc(escaped, func(e string) string {
			b, _ := hex.DecodeString(e[1:])
			return string(b)
		})
		if plain == escaped {
			return false
		}
		escaped = plain
	}
	return true // encoded again and again: nobody means that
}

func isDots(segment string) bool {
	name, _, _ := strings.Cut(segment, ";")
	return name == "." || name == ".."
}
