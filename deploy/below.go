package deploy

import (
	"net/url"
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

// decodings are the characters with which paths are led astray.
var decodings = strings.NewReplacer("%2e", ".", "%2E", ".", "%2f", "/", "%2F", "/", "%5c", `\`, "%5C", `\`, "%3b", ";", "%3B", ";", "%25", "%")

// climbs tells whether there is a "." or ".." segment for a server that decodes once or several times, takes a backslash
// for a slash, or leaves out what follows a semicolon.
func climbs(escaped string) bool {
	for range 4 {
		segments := strings.FieldsFunc(escaped, func(c rune) bool { return c == '/' || c == '\\' })
		if slices.ContainsFunc(segments, isDots) {
			return true
		}
		plain := decodings.Replace(escaped)
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
