package redact

import (
	"sort"
	"unicode/utf8"
)

const (
	maxSteps    = 4096 // of one walk: a bound for secrets that are nothing but escapes
	maxLineEnds = 8    // bytes of line ends and indents, in a row, that may stand within a secret
)

// walk looks for the patterns that stand at the beginning of a text. At each byte it tries all that this can mean: itself,
// or what it begins to escape.
type walk struct {
	patterns []pattern
	text     []byte
	steps    int

	end  int // of the longest that was found; 0 for none
	name string
	open int
}

// from goes on at byte at of the text, with those of the patterns lo to hi, which have depth bytes in common with what was
// read. ends counts the bytes of line ends that were passed last.
func (w *walk) from(lo, hi, depth, at, ends int) {
	w.steps--
	if lo >= hi || w.steps < 0 {
		return
	}
	if p := w.patterns[lo]; len(p.text) == depth {
		if at > w.end {
			w.end, w.name = at, p.name
		}
		if lo++; lo == hi {
			return
		}
	}
	if at == len(w.text) {
		w.open = max(w.open, depth, 1)
		return
	}
	c := w.text[at]
	if depth > 0 && ends < maxLineEnds {
		if c == '\n' || c == '\r' {
			w.from(lo, hi, depth, at+1, ends+1)
			return
		}
		if ends > 0 && (c == ' ' || c == '\t') { // the next line is indented
			w.from(lo, hi, depth, at+1, ends+1)
		}
	}
	w.read(lo, hi, depth, at+1, c)
	for _, how := range [...]func([]byte) ([]byte, int, bool){unescape, unescapeTwice} {
		meant, n, more := how(w.text[at:])
		if more {
			w.open = max(w.open, depth, 1)
		}
		if n > 0 {
			w.read(lo, hi, depth, at+n, meant...)
		}
	}
}

// read goes on behind bytes that the text has, or means. Line ends do not count.
func (w *walk) read(lo, hi, depth, at int, meant ...byte) {
	passed := 0
	for _, c := range meant {
		if (c == '\n' || c == '\r') && depth > 0 {
			passed = 1
			continue
		}
		if len(w.patterns[lo].text) == depth { // it ends within a character
			if lo++; lo == hi {
				return
			}
		}
		at := func(i int) byte { return w.patterns[lo+i].text[depth] }
		begin := sort.Search(hi-lo, func(i int) bool { return at(i) >= c })
		end := sort.Search(hi-lo, func(i int) bool { return at(i) > c })
		lo, hi, depth, passed = lo+begin, lo+end, depth+1, 0
		if lo == hi {
			return
		}
	}
	w.from(lo, hi, depth, at, passed)
}

// unescape returns what an escape at the beginning of text means, and its length; 0 when there is none. more says that it
// may only be that its end has not come yet.
func unescape(text []byte) (meant []byte, n int, more bool) {
	switch text[0] {
	case '+':
		return []byte{' '}, 1, false
	case '%':
		v, ok, more := hexAt(text, 1, 2)
		return []byte{byte(v)}, 3 * one(ok), more
	case '\'': // '\'' is how a shell's quoted text has a quote
		const quote = `'\''`
		return []byte{'\''}, len(quote) * one(hasPrefix(text, quote)), isPrefix(text, quote)
	case '\\':
		if len(text) == 1 {
			return nil, 0, true
		}
		return backslash(text)
	}
	return nil, 0, false
}

// controls are the letters that mean a control character behind a backslash.
var controls = [256]byte{'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}

// backslash is unescape for what JSON, Go, Python and shells write.
func backslash(text []byte) (meant []byte, n int, more bool) {
	switch c := text[1]; {
	case c == 'u':
		return unicode(text)
	case c == 'U':
		v, ok, more := hexAt(text, 2, 8)
		return utf8.AppendRune(nil, rune(v)), 10 * one(ok && v <= utf8.MaxRune), more
	case c == 'x':
		v, ok, more := hexAt(text, 2, 2)
		return []byte{byte(v)}, 4 * one(ok), more
	case controls[c] != 0:
		return []byte{controls[c]}, 2, false
	case c > ' ' && c < utf8.RuneSelf && !letter(c):
		return []byte{c}, 2, false
	}
	return nil, 0, false
}

// unescapeTwice is unescape for what was escaped with backslashes, and those again: JSON within JSON.
func unescapeTwice(text []byte) (meant []byte, n int, more bool) {
	run := 0
	for run < len(text) && run < 4 && text[run] == '\\' {
		run++
	}
	switch {
	case run == 4:
		return []byte{'\\'}, 4, false
	case run > 0 && run == len(text):
		return nil, 0, true
	case run > 1:
		meant, n, more = backslash(text[run-1:])
		return meant, (n + run - 1) * one(n > 0), more
	}
	return nil, 0, false
}

// unicode is \uXXXX, or two of them for one character.
func unicode(text []byte) (meant []byte, n int, more bool) {
	high, ok, more := hexAt(text, 2, 4)
	if !ok {
		return nil, 0, more
	}
	if high < 0xd800 || high > 0xdbff {
		return utf8.AppendRune(nil, rune(high)), 6, false
	}
	if rest := text[6:]; isPrefix(rest, `\u`) {
		return nil, 0, true
	} else if !hasPrefix(rest, `\u`) {
		return nil, 0, false
	}
	low, ok, more := hexAt(text, 8, 4)
	if !ok || low < 0xdc00 || low > 0xdfff {
		return nil, 0, more
	}
	return utf8.AppendRune(nil, rune(high-0xd800)<<10|rune(low-0xdc00)+0x10000), 12, false
}

// hexAt reads digits. more says that the text ends before the last of them.
func hexAt(text []byte, at, digits int) (v int, ok, more bool) {
	for i := at; i < at+digits; i++ {
		if i >= len(text) {
			return 0, false, true
		}
		switch c := text[i] | 0x20; {
		case text[i] >= '0' && text[i] <= '9':
			v = v<<4 | int(text[i]-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | int(c-'a'+10)
		default:
			return 0, false, false
		}
	}
	return v, true, false
}

func one(ok bool) int {
	if ok {
		return 1
	}
	return 0
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' }

func hasPrefix(text []byte, prefix string) bool {
	return len(text) >= len(prefix) && string(text[:len(prefix)]) == prefix
}

// isPrefix tells whether text is only the beginning of whole.
func isPrefix(text []byte, whole string) bool {
	return len(text) < len(whole) && string(text) == whole[:len(text)]
}
