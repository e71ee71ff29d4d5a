package redact

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

const (
	// Shortest is the length in bytes below which a secret would be found everywhere.
	Shortest = 4

	shortestLine = 8  // of a secret of several lines
	segment      = 48 // bytes of a pattern: a longer form is cut into several, so that a part of it is found too
)

// forms are the patterns of a secret.
func forms(secret string) (all []string) {
	trimmed := strings.Trim(secret, "\r\n")
	if len(trimmed) < Shortest {
		return nil
	}
	add := func(text string) {
		if len(text) >= Shortest {
			all = append(all, segments(text)...)
		}
	}
	add(oneLine(trimmed))
	if lines := strings.FieldsFunc(trimmed, isLineEnd); len(lines) > 1 {
		for _, line := range lines {
			if line = strings.TrimSpace(line); len(line) >= shortestLine && !strings.HasPrefix(line, "-----") {
				add(line)
			}
		}
	}
	for offset := range 3 {
		text := inBase64(trimmed, offset)
		add(text)
		if url := strings.NewReplacer("+", "-", "/", "_").Replace(text); url != text {
			add(url)
		}
	}
	digits := hex.EncodeToString([]byte(trimmed))
	add(digits)
	add(strings.ToUpper(digits))
	return all
}

// inBase64 is what of a secret's base64 depends on nothing else, when offset bytes, or 3 more each time, stand before it.
func inBase64(secret string, offset int) string {
	text := base64.RawStdEncoding.EncodeToString(append(make([]byte, offset), secret...))
	if (offset+len(secret))%3 != 0 {
		text = text[:len(text)-1]
	}
	return text[[]int{0, 2, 3}[offset]:]
}

// segments cuts a text so that each part is long enough to be told from others.
func segments(text string) (all []string) {
	for len(text) > 2*segment {
		n := segment
		for n > segment-utf8.UTFMax && !utf8.RuneStart(text[n]) {
			n--
		}
		all = append(all, text[:n])
		text = text[n:]
	}
	return append(all, text)
}

func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if isLineEnd(r) {
			return -1
		}
		return r
	}, text)
}

func isLineEnd(r rune) bool { return r == '\n' || r == '\r' }
