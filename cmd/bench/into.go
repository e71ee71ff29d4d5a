package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// The tables of a Markdown file stand between these, and those of scale between others.
const (
	tablesBegin = "<!-- what make bench printed -->\n"
	scaleBegin  = "<!-- what make bench WORK=scale printed -->\n"
	tablesEnd   = "<!-- until here -->\n"
)

// into writes the report into a Markdown file, in place of the ones that are there between its marks. Marks between which nothing of the
// report belongs are left alone.
func (r *report) into(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("write tables: %w", err)
	}
	sections := []struct {
		begin  string
		curves bool
		print  func(*report, io.Writer)
	}{{tablesBegin, false, (*report).printReadme}, {scaleBegin, true, (*report).printScale}}
	for _, s := range sections {
		part := r.part(s.curves)
		if len(part.Works) == 0 {
			continue
		}
		before, rest, begins := bytes.Cut(text, []byte(s.begin))
		_, after, ends := bytes.Cut(rest, []byte(tablesEnd))
		if !begins || !ends {
			return fmt.Errorf("write tables: %s has not the lines %q and %q, between which they belong", file, s.begin, tablesEnd)
		}
		var tables bytes.Buffer
		s.print(part, &tables)
		text = bytes.Join([][]byte{before, []byte(s.begin), tables.Bytes(), []byte(tablesEnd), after}, nil)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return fmt.Errorf("write tables: %w", err)
	}
	return nil
}

// part is the report with the curves alone, or without them.
func (r *report) part(curves bool) *report {
	part := *r
	part.Works = nil
	for _, w := range r.Works {
		if w.Curve == curves {
			part.Works = append(part.Works, w)
		}
	}
	return &part
}
