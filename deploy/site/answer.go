package site

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Answer is what a request gets.
type Answer struct {
	Status   int
	File     string // to serve; "" for a redirect, and for a 404 without a page
	Location string // of a redirect
}

// Answer decides about a path as the client wrote it, decoded, and the query. A file wins over a rule unless the rule is
// forced; "/about" is about.html where there is one.
func (s *Site) Answer(requested, query string) Answer {
	at := split(requested)
	file, canonical, exists := s.find(at)
	if r, values := s.rule(at, exists); r != nil {
		if answer, ok := s.apply(*r, values, query); ok {
			return answer
		}
	}
	switch {
	case exists && canonical != "":
		to := url.URL{Path: canonical, RawQuery: query}
		return Answer{Status: http.StatusPermanentRedirect, Location: to.String()}
	case exists:
		return Answer{Status: http.StatusOK, File: file}
	case s.spa && !hidden(at.segments):
		return Answer{Status: http.StatusOK, File: indexFile}
	}
	return s.NotFound()
}

// NotFound is the answer where there is nothing.
func (s *Site) NotFound() Answer {
	if _, ok := s.files[s.notFound]; ok {
		return Answer{Status: http.StatusNotFound, File: s.notFound}
	}
	return Answer{Status: http.StatusNotFound}
}

// find returns the file of a path and, where relative links in it would not work from there, the path to go to first.
func (s *Site) find(at location) (file, canonical string, ok bool) {
	name := strings.Join(at.segments, "/")
	if hidden(at.segments) {
		return "", "", false
	}
	index := strings.TrimPrefix(name+"/"+indexFile, "/")
	if _, ok := s.files[index]; ok {
		if !at.slash {
			canonical = "/" + name + "/"
		}
		return index, canonical, true
	}
	for _, file := range []string{name, name + ".html"} {
		if _, ok := s.files[file]; ok && name != "" {
			if at.slash {
				canonical = "/" + name
			}
			return file, canonical, true
		}
	}
	return "", "", false
}

// hidden tells whether a path leads to what begins with a dot. Only .well-known is for the public.
func hidden(segments []string) bool {
	for _, s := range segments {
		if strings.HasPrefix(s, ".") && s != ".well-known" {
			return true
		}
	}
	return false
}

// rule returns the first rule for a path, if there is one. exists tells that there is a file too.
func (s *Site) rule(at location, exists bool) (*rule, map[string]string) {
	applies := func(i int) bool { return !exists || s.rules[i].Force }
	first := len(s.rules)
	if n := slices.IndexFunc(s.literal[at.text()], applies); n >= 0 {
		first = s.literal[at.text()][n]
	}
	for _, i := range s.patterns {
		if i > first {
			break
		}
		if !applies(i) {
			continue
		}
		if values, ok := s.rules[i].from.match(at); ok {
			return &s.rules[i], values
		}
	}
	if first == len(s.rules) {
		return nil, nil
	}
	return &s.rules[first], nil
}

// apply returns false for a rule that names a file which does not exist.
func (s *Site) apply(r rule, values map[string]string, query string) (Answer, bool) {
	if r.redirects() {
		return Answer{Status: r.Status, Location: r.to.location(values, query)}, true
	}
	file, _, ok := s.find(split(r.to.path(values)))
	return Answer{Status: r.Status, File: file}, ok
}
