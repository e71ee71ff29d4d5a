package compose

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"
)

// evaluate adds the variables of an env file to into. A variable may use earlier ones, and those of over, which win. It
// is done a statement at a time, so that values that double with each line end before they fill the memory.
func evaluate(text, name string, into, over types.Mapping) error {
	text = strings.TrimPrefix(text, "\uFEFF")
	longest := longestOf(over, longestOf(into, 0))
	lookup := func(key string) (string, bool) {
		if value, ok := over[key]; ok {
			return value, true
		}
		value, ok := into[key]
		return value, ok
	}
	for rest := text; ; {
		var statement string
		if statement, rest = nextStatement(rest); statement == "" {
			return nil
		}
		if len(statement)+strings.Count(statement, "$")*longest > maxFile {
			return faults{fmt.Sprintf("%s: the variables become too large: at most %d bytes are taken", name, maxFile)}
		}
		vars, err := dotenv.ParseWithLookup(strings.NewReader(statement+"\n"), lookup)
		if err != nil {
			line := 1 + strings.Count(text[:len(text)-len(rest)-len(statement)], "\n")
			return faults{fmt.Sprintf("%s: what begins at line %d is not NAME=value", name, line)}
		}
		for key, value := range vars {
			into[key] = value
			longest = max(longest, len(value))
		}
	}
}

func longestOf(env types.Mapping, longest int) int {
	for _, value := range env {
		longest = max(longest, len(value))
	}
	return longest
}

// nextStatement cuts the first statement off: a line, or up to the closing quote of a value that may have several lines.
func nextStatement(text string) (statement, rest string) {
	text = strings.TrimLeftFunc(text, unicode.IsSpace)
	for strings.HasPrefix(text, "#") {
		_, after, _ := strings.Cut(text, "\n")
		text = strings.TrimLeftFunc(after, unicode.IsSpace)
	}
	end := strings.IndexByte(text, '\n')
	if end < 0 {
		end = len(text)
	}
	if sign := strings.IndexAny(text[:end], "=:"); sign >= 0 {
		value := strings.TrimLeft(text[sign+1:end], " \t\v\f\r")
		if value != "" && (value[0] == '"' || value[0] == '\'') {
			open := end - len(value)
			end = closing(text, open)
		}
	}
	return text[:end], text[end:]
}

// closing returns where the quoted value that begins at open ends.
func closing(text string, open int) int {
	for i := open + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case text[open]:
			return i + 1
		}
	}
	return len(text)
}

// evaluateRaw takes each line as it is.
func evaluateRaw(text, name string, into types.Mapping) error {
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, found := strings.Cut(line, "=")
		if !found || key == "" || strings.ContainsAny(key, " \t") {
			return faults{fmt.Sprintf("%s: line %d is not NAME=value", name, i+1)}
		}
		into[key] = value
	}
	return nil
}
