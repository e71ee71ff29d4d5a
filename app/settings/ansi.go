package settings

import (
	"html"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// piece is a part of a log line: text in one colour, found or not.
type piece struct {
	Class string // "e", "w", "g", "b"; "" is the usual colour
	Text  string
	Found bool // it is what was searched for
}

// write writes the piece as HTML.
func (p piece) write(b *strings.Builder) {
	text := html.EscapeString(p.Text)
	switch {
	case p.Found:
		b.WriteString("<mark>" + text + "</mark>")
	case p.Class != "":
		b.WriteString(`<span class="` + p.Class + `">` + text + "</span>")
	default:
		b.WriteString(text)
	}
}

var sgr = regexp.MustCompile("\x1b\\[([0-9;:]*)m")

// paint takes a line apart at the orders that set its colour. Whatever else would steer a terminal is left out.
func paint(line string) (pieces []piece) {
	if !strings.ContainsFunc(line, unprintable) {
		return []piece{{Text: line}}
	}
	class, at := "", 0
	add := func(text string) {
		if text = printable(text); text != "" {
			pieces = append(pieces, piece{Class: class, Text: text})
		}
	}
	for _, m := range sgr.FindAllStringSubmatchIndex(line, -1) {
		add(line[at:m[0]])
		class = colour(class, line[m[2]:m[3]])
		at = m[1]
	}
	add(line[at:])
	return pieces
}

// unprintable tells of control characters, and of those that turn the direction of text: a line would read as what it is not.
func unprintable(r rune) bool {
	return unicode.IsControl(r) || '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069'
}

// printable is a text without what is not printable. Tabs stay.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unprintable(r) && r != '\t' {
			return -1
		}
		return r
	}, text)
}

// colour is the class after an order. Only the eight colours and their bright kin are told apart, by what they usually mean.
func colour(class, order string) string {
	numbers := strings.FieldsFunc(order, func(r rune) bool { return r == ';' || r == ':' })
	if len(numbers) == 0 {
		return ""
	}
	for i := 0; i < len(numbers); i++ {
		n, err := strconv.Atoi(numbers[i])
		if err != nil {
			continue
		}
		switch {
		case n == 0, n == 39:
			class = ""
		case n == 38, n == 48: // what follows names a colour of a palette, or its parts
			skip := map[string]int{"5": 2, "2": 4}
			if i+1 < len(numbers) {
				i += skip[numbers[i+1]]
			}
		case 30 <= n && n <= 37:
			class = classes[n-30]
		case 90 <= n && n <= 97:
			class = classes[n-90]
		}
	}
	return class
}

// classes are black, red, green, yellow, blue, magenta, cyan and white.
var classes = [8]string{"", "e", "g", "w", "b", "b", "b", ""}

// find marks what was searched for in the pieces, whatever its case.
func find(pieces []piece, query string) (marked []piece) {
	if query == "" {
		return pieces
	}
	pattern := regexp.MustCompile("(?i)" + regexp.QuoteMeta(query))
	for _, p := range pieces {
		at := 0
		for _, m := range pattern.FindAllStringIndex(p.Text, -1) {
			if m[0] > at {
				marked = append(marked, piece{p.Class, p.Text[at:m[0]], false})
			}
			marked = append(marked, piece{p.Class, p.Text[m[0]:m[1]], true})
			at = m[1]
		}
		if at < len(p.Text) {
			marked = append(marked, piece{p.Class, p.Text[at:], false})
		}
	}
	return marked
}
