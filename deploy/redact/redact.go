// Package redact takes secrets out of texts: as they are, and in the forms in which programs print them.
//
// A secret is found raw; in base64 of both alphabets, wherever in what was encoded it stands and however the lines are
// wrapped; in hexadecimal; and each of these also where characters were escaped for URLs, JSON or a shell, all of them or
// some. Of a secret of several lines each line of eight characters is one. Where it was, the text reads "[secret NAME]".
package redact

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

// Secret is a text that nobody may read, and its name, which anybody may.
type Secret struct{ Name, Value string }

const (
	// MostLine is the length at which runtimes cut a line of output, in bytes.
	MostLine = 8 << 10
	// Cut is what they write in place of the rest.
	Cut = "…"
)

// Redactor knows secrets. It is immutable, so safe for concurrent use; nil knows none.
type Redactor struct {
	patterns []pattern // sorted by text
	first    [257]int  // patterns that begin with byte b are first[b] to first[b+1]
	begins   [256]bool // bytes with which a secret may begin, escaped or not
	pairs    [1 << 16]bool
}

// pattern is a text that gives a secret away. It has no line ends: they do not count.
type pattern struct{ text, name string }

// New makes a Redactor. Secrets of fewer than Shortest bytes are not looked for.
func New(secrets ...Secret) *Redactor {
	r := &Redactor{}
	for _, s := range secrets {
		for _, text := range forms(s.Value) {
			r.patterns = append(r.patterns, pattern{text, s.Name})
		}
	}
	if len(r.patterns) == 0 {
		return nil
	}
	slices.SortStableFunc(r.patterns, func(a, b pattern) int { return cmp.Compare(a.text, b.text) })
	r.patterns = slices.CompactFunc(r.patterns, func(a, b pattern) bool { return a.text == b.text })
	for _, p := range r.patterns {
		r.first[int(p.text[0])+1]++
		r.begins[p.text[0]] = true
		r.pairs[pair(p.text[0], p.text[1])] = true
	}
	for b := range 256 {
		r.first[b+1] += r.first[b]
		for _, c := range []byte(escapes + "\r\n") {
			r.pairs[pair(byte(b), c)] = r.pairs[pair(byte(b), c)] || r.begins[b]
		}
		for _, c := range []byte(escapes) {
			r.pairs[pair(c, byte(b))] = true
		}
	}
	for _, c := range []byte(escapes) {
		r.begins[c] = true
	}
	return r
}

// escapes are the bytes that may mean another one, or begin what does.
const escapes = "%\\+'"

func pair(a, b byte) int { return int(a)<<8 | int(b) }

// String returns text without secrets.
func (r *Redactor) String(text string) string {
	if r == nil || text == "" {
		return text
	}
	var b bytes.Buffer
	w := Writer{redactor: r, to: &b}
	w.buffer = []byte(text)
	w.pass(true)
	return b.String()
}

// Map returns values without secrets; the keys are left as they are.
func (r *Redactor) Map(values map[string]string) map[string]string {
	if r == nil || values == nil {
		return values
	}
	clean := make(map[string]string, len(values))
	for k, v := range values {
		clean[k] = r.String(v)
	}
	return clean
}

// Lines returns the lines without secrets, those that go over several of them included. A line that was cut may end in the middle
// of a secret: of that nothing is left either.
func (r *Redactor) Lines(lines []string) []string {
	if r == nil || len(lines) == 0 {
		return lines
	}
	var b bytes.Buffer // which never fails
	w := NewWriter(&b, r)
	for i, line := range lines {
		if i > 0 {
			_, _ = w.Write([]byte{'\n'})
		}
		line, cut := strings.CutSuffix(line, Cut)
		_, _ = w.Write([]byte(line))
		if cut {
			w.drop()
			_, _ = w.Write([]byte(Cut))
		}
	}
	_ = w.Flush()
	return strings.Split(b.String(), "\n")
}

// longest returns the length and the name of the longest secret at the beginning of text, 0 for none. open is how many
// characters of a secret stand there when it could go on behind the end of text; 0 when that cannot be.
func (r *Redactor) longest(text []byte) (n int, name string, open int) {
	if !r.begins[text[0]] || len(text) > 1 && !r.pairs[pair(text[0], text[1])] {
		return 0, "", 0
	}
	w := walk{patterns: r.patterns, text: text, steps: maxSteps}
	if c := text[0]; strings.IndexByte(escapes, c) >= 0 {
		w.from(0, len(r.patterns), 0, 0, 0)
	} else {
		w.from(r.first[c], r.first[int(c)+1], 1, 1, 0)
	}
	return w.end, w.name, w.open
}
