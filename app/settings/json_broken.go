package settings

import (
	"encoding/json"
	"slices"
	"strings"
)

// maskBroken is maskConfig for a text that is no JSON yet: it masks what will be a secret once the slip is mended, as far as its
// brackets and keys tell.
func maskBroken(text string) (masked string, held map[string]json.RawMessage) {
	held = map[string]json.RawMessage{}
	var b strings.Builder
	var path []string       // the keys before the open brackets
	key, colon := "", false // colon: one came since the last comma, bracket or line
	for at := 0; at < len(text); {
		word := wordAt(text, at, colon)
		next := text[at : at+max(len(word), 1)]
		name := strings.Trim(word, `"`)
		followed := strings.HasPrefix(strings.TrimLeft(text[at+len(word):], " \t\r\n"), ":")
		switch {
		case word != "" && (followed && !colon || secretKey(name) && (followed || !colon)):
			key = name
		case word != "":
			p := append(slices.Clone(path), key)
			if !slices.ContainsFunc(p, secretKey) {
				break
			}
			if secretAt(p[1:]) && word != string(rawJSON(bullets)) && json.Valid([]byte(word)) {
				held[pathText(p[1:])] = json.RawMessage(word)
			}
			next = bulletsLike(word)
		case next == "{" || next == "[":
			path, key = append(path, key), ""
		case (next == "}" || next == "]") && len(path) > 0:
			key, path = path[len(path)-1], path[:len(path)-1]
		}
		b.WriteString(next)
		colon = next == ":" || colon && (word != "" || !strings.ContainsAny(next, ",{}[]\n"))
		at += max(len(word), 1)
	}
	return b.String(), held
}

// wordAt is the text in quotes, the number or the word that begins at an offset, "" where none does. A line ends it, and a quote
// that is the second of a pair is alone. What is no value ends before a colon, too.
func wordAt(text string, at int, value bool) string {
	const between = " \t\r\n,:{}[]"
	if strings.IndexByte(between, text[at]) >= 0 {
		return ""
	}
	line, _, _ := strings.Cut(text[at:], "\n")
	line = strings.TrimRight(line, " \t\r")
	rest := line[1:]
	if line[0] != '"' {
		end := strings.IndexAny(rest, ",:{}[]\"")
		if end < 0 {
			return line
		}
		return strings.TrimRight(line[:1+end], " \t")
	}
	if rest == "" || strings.IndexByte(",:}]", rest[0]) >= 0 {
		return line[:1]
	}
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case '"':
			return line[:i+2]
		}
	}
	if end := strings.IndexAny(rest, ":{"); !value && end >= 0 {
		return line[:1+end]
	}
	return line
}

// secretKey tells of keys below which secrets are.
func secretKey(key string) bool {
	return slices.Contains([]string{"env", "build_secrets", "password"}, key)
}

// bulletsLike has the quotes that a word has.
func bulletsLike(word string) string {
	open, rest := "", word
	if strings.HasPrefix(word, `"`) {
		open, rest = `"`, word[1:]
	}
	if open != "" && strings.HasSuffix(rest, `"`) {
		return open + bullets + `"`
	}
	return open + bullets
}
