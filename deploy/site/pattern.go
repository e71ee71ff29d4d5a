package site

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"unicode"
)

// pattern matches paths by their segments. Each is literal or a placeholder, ":name", for exactly one; "*" at the end is
// any number of them, none included. A slash at the end of a path makes no difference.
type pattern struct {
	segments []segment
	splat    bool
}

type segment struct {
	text        string // literal, or the placeholder's name
	placeholder bool
}

const maxPattern = 1024 // bytes

// parsePattern returns an error that says what to do.
func parsePattern(text string) (p pattern, err error) {
	switch {
	case strings.Contains(text, "://"):
		return p, errors.New(`begins with a domain, which is not supported: write the path alone, such as "/old"`)
	case !strings.HasPrefix(text, "/"):
		return p, errors.New(`must be a path that begins with "/"`)
	case len(text) > maxPattern:
		return p, fmt.Errorf("must be at most %d bytes long", maxPattern)
	case strings.ContainsAny(text, "?#") || strings.ContainsFunc(text, unicode.IsControl):
		return p, errors.New("must be a path alone, without a query or a fragment")
	}
	rest, splat := strings.CutSuffix(text, "/*")
	if strings.Contains(rest, "*") {
		return p, errors.New(`may have "*" only once, as its last segment, such as "/blog/*"`)
	}
	p.splat = splat
	used := map[string]bool{}
	for _, s := range split(rest).segments {
		part, err := parseSegment(s)
		if err != nil {
			return p, err
		}
		if part.placeholder && (used[part.text] || part.text == splatName) {
			return p, fmt.Errorf("has the placeholder :%s twice", part.text)
		}
		used[part.text] = used[part.text] || part.placeholder
		p.segments = append(p.segments, part)
	}
	return p, nil
}

func parseSegment(s string) (segment, error) {
	if name, ok := strings.CutPrefix(s, ":"); ok && name != "" {
		if name != nameAt(name) {
			return segment{}, fmt.Errorf(`has a placeholder that is not a whole segment: write "/:%s/"`, nameAt(name))
		}
		return segment{name, true}, nil
	}
	text, err := url.PathUnescape(s)
	if err != nil {
		return segment{}, errors.New(`has a "%" that is not followed by two hexadecimal digits`)
	}
	return segment{text: text}, nil
}

// splatName is the name of what "*" stands for.
const splatName = "splat"

// nameAt returns the name of a placeholder with which a text begins.
func nameAt(text string) string {
	end := strings.IndexFunc(text, func(r rune) bool {
		return r != '_' && !('a' <= r && r <= 'z') && !('A' <= r && r <= 'Z') && !('0' <= r && r <= '9')
	})
	if end < 0 {
		end = len(text)
	}
	if end == 0 || '0' <= text[0] && text[0] <= '9' {
		return ""
	}
	return text[:end]
}

// literal returns the one path that p matches, if it is only one.
func (p pattern) literal() (text string, ok bool) {
	var b strings.Builder
	for _, s := range p.segments {
		if s.placeholder {
			return "", false
		}
		b.WriteString("/" + s.text)
	}
	return b.String(), !p.splat
}

// names are what a target may use.
func (p pattern) names() (names []string) {
	for _, s := range p.segments {
		if s.placeholder {
			names = append(names, s.text)
		}
	}
	if p.splat {
		names = append(names, splatName)
	}
	return names
}

// match returns what the placeholders stand for.
func (p pattern) match(at location) (values map[string]string, ok bool) {
	n := len(p.segments)
	if len(at.segments) < n || !p.splat && len(at.segments) > n {
		return nil, false
	}
	for i, s := range p.segments {
		if !s.placeholder && s.text != at.segments[i] {
			return nil, false
		}
	}
	values = map[string]string{}
	for i, s := range p.segments {
		if s.placeholder {
			values[s.text] = at.segments[i]
		}
	}
	if p.splat {
		values[splatName] = strings.Join(at.segments[n:], "/")
		if at.slash && len(at.segments) > n {
			values[splatName] += "/"
		}
	}
	return values, true
}

// sample is a path that p matches and that says as little as it can beyond that.
func (p pattern) sample() string {
	var b strings.Builder
	for i, s := range p.segments {
		if s.placeholder {
			s.text = fmt.Sprintf("%s%d", s.text, i)
		}
		b.WriteString("/" + s.text)
	}
	if p.splat {
		b.WriteString("/any")
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

// location is the path of a request, without "." and ".." and empty segments.
type location struct {
	segments []string
	slash    bool // there was one at the end
}

func split(p string) location {
	clean := strings.Trim(path.Clean("/"+p), "/")
	if clean == "" {
		return location{slash: true}
	}
	return location{strings.Split(clean, "/"), strings.HasSuffix(p, "/")}
}

// text is the path without a slash at its end; "" is the root.
func (l location) text() string {
	if len(l.segments) == 0 {
		return ""
	}
	return "/" + strings.Join(l.segments, "/")
}
