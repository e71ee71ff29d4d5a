package site

import (
	"fmt"
	"strings"

	"tinyforge/deploy/shorten"
)

// ReadHeaders reads a _headers file: paths at the beginning of lines and, indented below each, "Name: value", or "! Name"
// for a field that rules above have set and that is not wanted here. All that is wrong is returned; what the rules say is
// checked by New.
func ReadHeaders(text []byte) (list []HeaderRule, all Faults) {
	lines, all := readLines(HeadersFile, text)
	for _, l := range lines {
		if !l.indented {
			if !isTarget(l.text) {
				all = append(all, Fault{l.at, fmt.Sprintf(`%q is no path: begin paths with "/", and indent header fields below them`, shorten.Typed(l.text))})
			}
			list = append(list, HeaderRule{For: l.text, At: l.at})
			continue
		}
		if len(list) == 0 {
			all = append(all, Fault{l.at, "has a header field before the first path: write the path that it is for above it"})
			continue
		}
		h, problem := parseHeader(l.text)
		if problem != "" {
			all = append(all, Fault{l.at, problem})
			continue
		}
		h.At = l.at
		last := &list[len(list)-1]
		last.Fields = append(last.Fields, h)
	}
	return list, append(all, withoutFields(list)...)
}

func parseHeader(text string) (h Header, problem string) {
	if name, ok := strings.CutPrefix(text, "!"); ok {
		return Header{Name: strings.TrimSpace(name)}, ""
	}
	name, value, ok := strings.Cut(text, ":")
	h = Header{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)}
	if !ok || h.Value == "" {
		return h, fmt.Sprintf(`%q is no header field: write "Name: value", or "! Name" to take one away`, shorten.Typed(text))
	}
	return h, ""
}

func withoutFields(list []HeaderRule) (all Faults) {
	for _, r := range list {
		if len(r.Fields) == 0 && isTarget(r.For) {
			all = append(all, Fault{r.At, "has no header fields: write them below it, indented"})
		}
	}
	return all
}
