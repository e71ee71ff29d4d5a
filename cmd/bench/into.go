package main

import (
	"bytes"
	"fmt"
	"os"
)

// The tables of a Markdown file stand between these.
const (
	tablesBegin = "<!-- what make bench printed -->\n"
	tablesEnd   = "<!-- until here -->\n"
)

// into writes the report into a Markdown file, in place of the one that is there between its marks.
func (r *report) into(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("write tables: %w", err)
	}
	before, rest, begins := bytes.Cut(text, []byte(tablesBegin))
	_, after, ends := bytes.Cut(rest, []byte(tablesEnd))
	if !begins || !ends {
		return fmt.Errorf("write tables: %s has not the lines %q and %q, between which they belong", file, tablesBegin, tablesEnd)
	}
	var tables bytes.Buffer
	r.printReadme(&tables)
	all := [][]byte{before, []byte(tablesBegin), tables.Bytes(), []byte(tablesEnd), after}
	if err := os.WriteFile(file, bytes.Join(all, nil), 0o644); err != nil {
		return fmt.Errorf("write tables: %w", err)
	}
	return nil
}
