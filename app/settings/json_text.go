package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// jsonValue is where one value stands in a text of JSON.
type jsonValue struct {
	path       []string // keys; "[0]" for items of lists
	start, end int      // bytes of the text
	object     bool
}

// jsonFault is what is wrong with a text of JSON, and where.
type jsonFault struct {
	offset int
	text   string
	twice  string // the path of a key that stands there a second time; then text is ""
}

func (f *jsonFault) Error() string { return f.text }

// readJSON finds all values of a text that is one JSON object without a key that stands twice. The error is a *jsonFault.
func readJSON(text string) ([]jsonValue, error) {
	var whole json.RawMessage
	err := json.Unmarshal([]byte(text), &whole)
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return nil, &jsonFault{offset: int(max(0, syntax.Offset-1)), text: syntax.Error()}
	case err != nil:
		return nil, &jsonFault{text: err.Error()}
	case !strings.HasPrefix(strings.TrimSpace(text), "{"):
		return nil, &jsonFault{text: "must be an object: {…}"}
	}
	r := jsonReader{text: text, d: json.NewDecoder(strings.NewReader(text))}
	return r.values, r.value(nil)
}

type jsonReader struct {
	text   string
	d      *json.Decoder
	values []jsonValue
}

// next is where the next token begins.
func (r *jsonReader) next() int {
	at := int(r.d.InputOffset())
	for at < len(r.text) && strings.IndexByte(" \t\r\n,:", r.text[at]) >= 0 {
		at++
	}
	return at
}

func (r *jsonReader) value(path []string) error {
	start, place := r.next(), len(r.values)
	token, err := r.d.Token()
	if err != nil {
		return &jsonFault{offset: start, text: err.Error()}
	}
	r.values = append(r.values, jsonValue{path: path, start: start, object: token == json.Delim('{')})
	if _, nested := token.(json.Delim); nested {
		if err := r.members(path, token == json.Delim('{')); err != nil {
			return err
		}
	}
	r.values[place].end = int(r.d.InputOffset())
	return nil
}

func (r *jsonReader) members(path []string, object bool) error {
	seen := map[string]bool{}
	for i := 0; r.d.More(); i++ {
		key := fmt.Sprintf("[%d]", i)
		if object {
			at := r.next()
			token, err := r.d.Token()
			if err != nil {
				return &jsonFault{offset: at, text: err.Error()}
			}
			key = token.(string)
			if seen[key] {
				return &jsonFault{offset: at, twice: pathText(below(path, key))}
			}
			seen[key] = true
		}
		if err := r.value(below(path, key)); err != nil {
			return err
		}
	}
	_, err := r.d.Token()
	return err
}

func below(path []string, key string) []string { return append(path[:len(path):len(path)], key) }

// pathText writes a path as the sources write it: "volumes[0].name".
func pathText(path []string) string {
	var b strings.Builder
	for _, key := range path {
		switch {
		case strings.HasPrefix(key, "[") && strings.HasSuffix(key, "]"):
			b.WriteString(key)
		case key == "" || strings.ContainsAny(key, ".[]\"\\ :\n\t"):
			fmt.Fprintf(&b, "[%q]", key)
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(key)
		}
	}
	return b.String()
}

// placeOf is the line, the column and the text of the line at an offset; both begin with 1.
func placeOf(text string, offset int) (line, column int, content string) {
	offset = min(offset, len(text))
	begin := strings.LastIndexByte(text[:offset], '\n') + 1
	content, _, _ = strings.Cut(text[begin:], "\n")
	return strings.Count(text[:offset], "\n") + 1, len([]rune(text[begin:offset])) + 1, content
}

// offsetOf is where the value of a path stands, or else what it would be in.
func offsetOf(values []jsonValue, path string) int {
	best, at := -1, 0
	for _, v := range values {
		if p := pathText(v.path); len(p) > best && (p == path || p == "" || strings.HasPrefix(path, p+".") || strings.HasPrefix(path, p+"[")) {
			best, at = len(p), v.start
		}
	}
	return at
}

// member is one key of an object with its value.
type member struct {
	key   string
	value json.RawMessage
}

// object is a JSON object whose keys stay in order.
type object []member

// readObject reads an object; anything else is an empty one.
func readObject(raw json.RawMessage) (o object) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil
	}
	for d.More() {
		key, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			return nil
		}
		o = append(o, member{key.(string), value})
	}
	return o
}

func isObject(raw json.RawMessage) bool { return bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) }

// get returns the value at a path, nil when there is none or it is null.
func (o object) get(path ...string) json.RawMessage {
	for _, m := range o {
		switch {
		case m.key != path[0]:
		case len(path) > 1:
			return readObject(m.value).get(path[1:]...)
		case string(m.value) == "null":
			return nil
		default:
			return m.value
		}
	}
	return nil
}

// with returns the object with a value at a path; nil takes what is there away.
func (o object) with(value json.RawMessage, path ...string) object {
	all := make(object, 0, len(o)+1)
	found := false
	for _, m := range o {
		if m.key == path[0] {
			found = true
			if m.value = changedBelow(m.value, value, path[1:]); m.value == nil {
				continue
			}
		}
		all = append(all, m)
	}
	if !found {
		if value = changedBelow(nil, value, path[1:]); value != nil {
			all = append(all, member{path[0], value})
		}
	}
	return all
}

func changedBelow(old, value json.RawMessage, path []string) json.RawMessage {
	if len(path) == 0 {
		return value
	}
	if old == nil && value == nil {
		return nil
	}
	return readObject(old).with(value, path...).raw()
}

// raw writes the object in one line.
func (o object) raw() json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(rawJSON(m.key))
		b.WriteByte(':')
		if json.Compact(&b, m.value) != nil {
			b.WriteString("null")
		}
	}
	b.WriteByte('}')
	return b.Bytes()
}

// rawJSON writes what JSON can hold, without HTML's escapes.
func rawJSON(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return json.RawMessage("null")
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// indented writes JSON for people.
func indented(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return string(raw)
	}
	return b.String()
}
