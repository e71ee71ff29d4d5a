package site

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"tinyforge/deploy/shorten"
)

// target is where a rule leads: a URL in whose path and query :name stands for what a placeholder matched.
type target struct{ url url.URL }

// parseTarget returns an error that says what to do. names are the placeholders that there are.
func parseTarget(text string, names []string) (t target, err error) {
	u, err := url.Parse(text)
	switch {
	case len(text) > maxPattern:
		return t, fmt.Errorf("must be at most %d bytes long", maxPattern)
	case err != nil || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }):
		return t, errors.New("is not a valid URL")
	case u.Scheme == "" && !strings.HasPrefix(text, "/"), strings.HasPrefix(text, "//"):
		return t, errors.New(`must be a path that begins with "/", or a whole URL that begins with "https://"`)
	case u.Scheme != "" && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil):
		return t, errors.New("must begin with https:// or http://, and hold no password")
	}
	for _, part := range []string{u.Path, u.RawQuery} {
		for name := range placeholders(part) {
			if !slices.Contains(names, name) {
				return t, fmt.Errorf("uses :%s, which its path does not have: it has %s", shorten.Typed(name), list(names))
			}
		}
	}
	u.RawPath = "" // what is written is made of Path
	return target{*u}, nil
}

func list(names []string) string {
	if len(names) == 0 {
		return "no placeholders"
	}
	return ":" + strings.Join(names, ", :")
}

// local tells whether it leads to this site.
func (t target) local() bool { return t.url.Host == "" }

// path is where it leads on this site.
func (t target) path(values map[string]string) string {
	// Two slashes at the front would be a host.
	return "/" + strings.TrimLeft(fill(t.url.Path, values, func(s string) string { return s }), "/")
}

// location is the value of the header field of that name. A request's query is kept where the target has none of its own.
func (t target) location(values map[string]string, query string) string {
	to := t.url
	to.Path = t.path(values)
	if to.RawQuery == "" {
		to.RawQuery = query
	} else {
		to.RawQuery = fill(to.RawQuery, values, url.QueryEscape)
	}
	return to.String()
}

// fill puts values in the places of their names.
func fill(text string, values map[string]string, escape func(string) string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, ":")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name := nameAt(after)
		if name == "" {
			b.WriteByte(':')
		} else {
			b.WriteString(escape(values[name]))
		}
		text = after[len(name):]
	}
}

// placeholders are the names in a text.
func placeholders(text string) map[string]bool {
	names := map[string]bool{}
	for {
		_, after, found := strings.Cut(text, ":")
		if !found {
			return names
		}
		if name := nameAt(after); name != "" {
			names[name] = true
		}
		text = after
	}
}
