package source

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// config is what decode fills in.
type config interface {
	setDefaults()
	check() Faults // what no struct tag can say
}

// defaulter is a part of a config with defaults of its own; they are set before the part is read.
type defaulter interface{ setDefaults() }

// decode fills in what raw says, strictly, and checks it completely. Nothing at all reads as {}, and null as absence.
// The error is a Faults.
func (c *checker) decode(raw json.RawMessage, into config) error {
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = json.RawMessage("{}")
	}
	var whole json.RawMessage
	if err := json.Unmarshal(raw, &whole); err != nil {
		return Faults{{"", syntaxText(err)}}
	}
	found := decodeObject(whole, reflect.ValueOf(into).Elem(), place{})
	return faults(found, c.tags(into), into.check()).err()
}

func syntaxText(err error) string {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("is not valid JSON: %v, at byte %d", syntax, syntax.Offset)
	}
	return "is not valid JSON"
}

// place is where a value stands in a config.
type place struct {
	path    string
	example string // of a right value, as people write it; "" for none
}

// wrong is the fault of a value of another type.
func (p place) wrong(text string) Faults {
	if p.example != "" {
		text += ", such as " + p.example
	}
	return Faults{{p.path, text}}
}

// item is the place of an entry of a list.
func (p place) item(i int, kind reflect.Kind) place {
	at := place{path: fmt.Sprintf("%s[%d]", p.path, i)}
	if kind == reflect.Struct {
		at.example = strings.Trim(p.example, "[]")
	}
	return at
}

func decodeValue(raw json.RawMessage, v reflect.Value, at place) Faults {
	if string(raw) == "null" {
		return nil
	}
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return decodeText(raw, text.UnmarshalText, at.path)
	}
	if d, ok := v.Addr().Interface().(*time.Duration); ok {
		return decodeText(raw, durationInto(d), at.path)
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return decodeValue(raw, v.Elem(), at)
	case reflect.Struct:
		return decodeObject(raw, v, at)
	case reflect.Slice:
		return decodeList(raw, v, at)
	case reflect.Map:
		return decodeMap(raw, v, at)
	default:
		return decodeScalar(raw, v, at)
	}
}

func decodeObject(raw json.RawMessage, v reflect.Value, at place) Faults {
	if d, ok := v.Addr().Interface().(defaulter); ok {
		d.setDefaults()
	}
	members, err := readObject(raw)
	if err != nil {
		return at.wrong(err.Error())
	}
	var all Faults
	fields := fieldsOf(v.Type())
	seen := map[string]bool{}
	for _, m := range members {
		path := join(at.path, m.key)
		field, known := fields[m.key]
		switch {
		case !known:
			all = append(all, Fault{path, UnknownKey(m.key, slices.Sorted(maps.Keys(fields)))})
		case seen[m.key]:
			all = append(all, Fault{path, "is given twice"})
		default:
			all = append(all, decodeValue(m.value, v.FieldByIndex(field.Index), place{path, field.Tag.Get("example")})...)
		}
		seen[m.key] = true
	}
	return all
}

func decodeList(raw json.RawMessage, v reflect.Value, at place) Faults {
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return at.wrong("must be a list")
	}
	var all Faults
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, item := range items {
		entry := at.item(i, v.Type().Elem().Kind())
		if string(item) == "null" {
			all = append(all, Fault{entry.path, "must not be null"})
			continue
		}
		all = append(all, decodeValue(item, v.Index(i), entry)...)
	}
	return all
}

func decodeMap(raw json.RawMessage, v reflect.Value, at place) Faults {
	members, err := readObject(raw)
	if err != nil {
		return at.wrong(err.Error())
	}
	var all Faults
	v.Set(reflect.MakeMap(v.Type()))
	for _, m := range members {
		key, value := reflect.ValueOf(m.key), reflect.New(v.Type().Elem()).Elem()
		switch {
		case v.MapIndex(key).IsValid():
			all = append(all, Fault{join(at.path, m.key), "is given twice"})
		case string(m.value) == "null":
			all = append(all, Fault{join(at.path, m.key), "must not be null: leave it out, or give it a value"})
		default:
			all = append(all, decodeValue(m.value, value, place{path: join(at.path, m.key)})...)
		}
		v.SetMapIndex(key, value)
	}
	return all
}

func decodeText(raw json.RawMessage, unmarshal func([]byte) error, path string) Faults {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = "\x00" // no text at all; unmarshal says what it wants
	}
	if err := unmarshal([]byte(s)); err != nil {
		return Faults{{path, err.Error()}}
	}
	return nil
}

func durationInto(d *time.Duration) func([]byte) error {
	return func(text []byte) error {
		n, err := time.ParseDuration(string(text))
		if err != nil {
			return errors.New(`must be a duration such as "2s" or "1m30s"`)
		}
		*d = n
		return nil
	}
}

func decodeScalar(raw json.RawMessage, v reflect.Value, at place) Faults {
	if json.Unmarshal(raw, v.Addr().Interface()) == nil {
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		return at.wrong("must be a string, in quotes")
	case reflect.Bool:
		return at.wrong("must be true or false")
	case reflect.Int:
		return at.wrong("must be a whole number, without quotes")
	default:
		return at.wrong("must be a number, without quotes")
	}
}
