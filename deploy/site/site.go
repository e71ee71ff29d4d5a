// Package site says what a static site answers: which file, which redirect, which header fields. It reads the rules that
// people know from _headers and _redirects files, and copies out of a checkout what may be served. It speaks no HTTP.
package site

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"tinyforge/deploy/shorten"
)

// Config is all that a file server has to know of a site: it is what the site's image holds beside the files.
type Config struct {
	Port      int          `json:"port"`
	SPA       bool         `json:"spa,omitempty"`       // unknown paths answer index.html
	NotFound  string       `json:"not_found,omitempty"` // file, the page of status 404; "" means 404.html where there is one
	Redirects []Redirect   `json:"redirects,omitempty"` // the first that matches wins
	Headers   []HeaderRule `json:"headers,omitempty"`   // all that match, in their order

	Files map[string]string `json:"files"` // what there is to serve, by path without a leading "/", and a tag of its content
}

// Names of the files with rules, at the root of a site. They are read and never served.
const (
	HeadersFile   = "_headers"
	RedirectsFile = "_redirects"
)

// What is where in the folder of a site that is ready to be served.
const (
	ConfigFile  = "site.json" // a Config
	FilesFolder = "files"
)

// ReadyPath answers 200 as soon as a site is served. No file can be there: names that begin with a dot are not served.
const ReadyPath = "/.tinyforge/ready"

const indexFile = "index.html"

// Site is a Config that was found to be good. It is safe for concurrent use.
type Site struct {
	files    map[string]string
	spa      bool
	notFound string
	rules    []rule
	literal  map[string][]int // the rules that match this one path, by the path
	patterns []int            // the rules that match more than one
	headers  []headerRule
}

// New checks a Config completely. The error is a Faults.
func New(c Config) (*Site, error) {
	s := &Site{files: c.Files, spa: c.SPA, notFound: c.NotFound, literal: map[string][]int{}}
	var all Faults
	s.rules, all = compileRedirects(c.Redirects)
	headers, wrong := compileHeaders(c.Headers)
	s.headers, all = headers, append(all, wrong...)
	if len(all) == 0 {
		all = s.checkFiles()
	}
	if len(all) > 0 {
		return nil, all
	}
	s.index()
	if err := s.checkLoops(); err != nil {
		return nil, err
	}
	return s, nil
}

// checkFiles demands the pages that the config names, and finds the page of status 404 where it names none.
func (s *Site) checkFiles() (all Faults) {
	page := strings.TrimPrefix(path.Clean("/"+cmp.Or(s.notFound, "404.html")), "/")
	_, found := s.files[page]
	switch {
	case found:
		s.notFound = page
	case s.notFound != "":
		all = append(all, Fault{"not_found", fmt.Sprintf("the site has no file %q", shorten.Typed(s.notFound))})
	}
	if _, found := s.files[indexFile]; s.spa && !found {
		all = append(all, Fault{"spa", "the site has no index.html, which unknown paths would answer: is root the folder with the site?"})
	}
	for i, r := range s.rules {
		if r.redirects() || len(placeholders(r.to.url.Path)) > 0 {
			continue
		}
		if _, _, found := s.find(split(r.to.url.Path)); !found {
			all = append(all, r.fault(i, "to", r.To, "is not a file of the site"))
		}
	}
	return all
}

// index makes looking for a rule cost as much as there are patterns, whatever the number of rules.
func (s *Site) index() {
	for i, r := range s.rules {
		at, literal := r.from.literal()
		if literal {
			s.literal[at] = append(s.literal[at], i)
		} else {
			s.patterns = append(s.patterns, i)
		}
	}
}

// Files returns the paths of all files, without a leading "/", in order.
func (s *Site) Files() []string { return slices.Sorted(maps.Keys(s.files)) }

// Tag returns a short text that changes whenever the file's content does; ok tells whether there is such a file.
func (s *Site) Tag(file string) (tag string, ok bool) {
	tag, ok = s.files[file]
	return tag, ok
}

// Check finds what is wrong with rules as far as that can be seen without the files of the site.
func Check(redirects []Redirect, headers []HeaderRule) Faults {
	_, all := compileRedirects(redirects)
	_, more := compileHeaders(headers)
	return append(all, more...)
}
