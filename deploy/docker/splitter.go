package docker

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"tinyforge/deploy/redact"
)

const maxLine = redact.MostLine

// maxHeld is what is kept of a line before it is cleaned: enough to cut it between characters.
const maxHeld = maxLine + utf8.UTFMax

// splitter is a writer that hands on each complete line, cleaned and cut. It holds no more than maxHeld bytes.
type splitter struct {
	emit func(line string)
	line []byte
}

// Write never fails.
func (s *splitter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		line, rest, found := bytes.Cut(p, []byte("\n"))
		s.line = append(s.line, line[:min(len(line), maxHeld-len(s.line))]...)
		if !found {
			return n, nil
		}
		s.end()
		p = rest
	}
}

// flush hands on a last line that has no end.
func (s *splitter) flush() {
	if len(s.line) > 0 {
		s.end()
	}
}

func (s *splitter) end() {
	line := cleanLine(string(s.line))
	if len(s.line) == maxHeld {
		line += redact.Cut
	}
	s.emit(line)
	s.line = s.line[:0]
}

// cleanLine makes any output a line that a database and a page can hold: valid UTF-8, no NUL, and of text that was written
// over with carriage returns, as progress bars do, only what was seen last.
func cleanLine(line string) string {
	line = strings.TrimRight(line, "\r\n")
	line = line[strings.LastIndexByte(line, '\r')+1:]
	line = strings.ReplaceAll(strings.ReplaceAll(line, "\n", " "), "\x00", "")
	line = strings.ToValidUTF8(line, "\uFFFD")
	return strings.ToValidUTF8(line[:min(len(line), maxLine)], "") // the cut may leave half a character
}
