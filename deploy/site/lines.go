package site

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	maxRules = 1 << 20 // bytes of a file with rules
	maxLine  = 2000    // bytes
)

// line is one of a file with rules that is neither empty nor a comment.
type line struct {
	at       string // "_headers, line 3"
	text     string // without space around it
	indented bool
}

// readLines returns the lines of a file, and what is wrong with it as text.
func readLines(name string, text []byte) (lines []line, all Faults) {
	if len(text) > maxRules {
		return nil, Faults{{name, fmt.Sprintf("is larger than %d KiB", maxRules>>10)}}
	}
	if !utf8.Valid(text) || bytes.ContainsRune(text, 0) {
		return nil, Faults{{name, "is not a text in UTF-8"}}
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	scanner := bufio.NewScanner(bytes.NewReader(text))
	scanner.Buffer(nil, maxRules+1)
	for n := 1; scanner.Scan(); n++ {
		l := line{at: fmt.Sprintf("%s, line %d", name, n), text: strings.TrimSpace(scanner.Text())}
		switch {
		case l.text == "", strings.HasPrefix(l.text, "#"):
			continue
		case len(l.text) > maxLine:
			all = append(all, Fault{l.at, fmt.Sprintf("is longer than %d bytes", maxLine)})
			continue
		}
		l.indented = strings.HasPrefix(scanner.Text(), " ") || strings.HasPrefix(scanner.Text(), "\t")
		lines = append(lines, l)
	}
	return lines, all
}
