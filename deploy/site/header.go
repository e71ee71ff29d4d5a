package site

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"tinyforge/deploy/shorten"
)

// HeaderRule is what answers to a path say in their header.
type HeaderRule struct {
	For    string   `json:"for"` // "/*", "/assets/*"
	Fields []Header `json:"fields"`

	At string `json:"at,omitempty"` // where it is written: "_headers, line 3"
}

// Header is a field of an answer's header.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`         // "" means that it is taken away again
	Set   bool   `json:"set,omitempty"` // replaces what rules before it have said, instead of being added to it

	At string `json:"at,omitempty"`
}

type headerRule struct {
	from   pattern
	fields []Header
}

const maxHeaderFields = 100 // of one rule

// reserved are the fields that say how an answer is sent; only the server knows that.
var reserved = []string{
	"Accept-Ranges", "Connection", "Content-Encoding", "Content-Length", "Content-Range", "Date", "Etag", "Keep-Alive", "Location",
	"Proxy-Authenticate", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// compileHeaders returns the rules, and all that is wrong with them.
func compileHeaders(list []HeaderRule) (rules []headerRule, all Faults) {
	if len(list) > maxHeaderRules {
		return nil, Faults{{"headers", fmt.Sprintf("are for %d paths, in the config and in _headers together: %d are allowed; use "+
			"placeholders and splats", len(list), maxHeaderRules)}}
	}
	for _, r := range list {
		at := r.At
		if at == "" {
			at = fmt.Sprintf("headers[%q]", shorten.Typed(r.For))
		}
		from, err := parsePattern(r.For)
		if err != nil {
			all = append(all, Fault{at, fmt.Sprintf("%q %v", shorten.Typed(r.For), err)})
		}
		if len(r.Fields) > maxHeaderFields {
			all = append(all, Fault{at, fmt.Sprintf("has %d header fields: %d are allowed", len(r.Fields), maxHeaderFields)})
		}
		for _, h := range r.Fields {
			all = append(all, h.check(at)...)
		}
		rules = append(rules, headerRule{from, r.Fields})
	}
	return rules, all
}

func (h Header) check(at string) Faults {
	if h.At != "" {
		at = h.At
	}
	fault := func(text string) Faults { return Faults{{at, fmt.Sprintf("%q %s", shorten.Typed(h.Name), text)}} }
	switch name := http.CanonicalHeaderKey(h.Name); {
	case !isToken(h.Name):
		return fault("is not the name of a header field")
	case slices.Contains(reserved, name):
		return fault("cannot be set: the server decides about it")
	case name == "Basic-Auth":
		return fault("is not supported: it would ask visitors for a password that is in the repository")
	case strings.ContainsFunc(h.Value, unicode.IsControl) || len(h.Value) > maxLine:
		return fault(fmt.Sprintf("has a value that is longer than %d bytes or holds a control character", maxLine))
	case strings.Contains(h.Value, ":"+splatName):
		return fault(`has ":splat" in its value, which is not supported`)
	}
	return nil
}

// isToken tells whether a text can be the name of a header field.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// SetHeader writes what the rules say about a path, as the client wrote it, into an answer's header.
func (s *Site) SetHeader(h http.Header, requested string) {
	at := split(requested)
	for _, r := range s.headers {
		if _, ok := r.from.match(at); !ok {
			continue
		}
		for _, field := range r.fields {
			switch {
			case field.Value == "":
				h.Del(field.Name)
			case field.Set:
				h.Set(field.Name, field.Value)
			default:
				h.Add(field.Name, field.Value)
			}
		}
	}
}
