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
	found := decodeObject(whole, reflect.ValueOf(into).Elem(), "")
	return faults(found, c.tags(into), into.check()).err()
}

func syntaxText(err error) string {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("is not valid JSON: %v, at byte %d", syntax, syntax.Offset)
	}
	return "is not valid JSON"
}

func decodeValue(raw json.RawMessage, v reflect.Value, path string) Faults {
	if string(raw) == "null" {
		return nil
	}
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return decodeText(raw, text.UnmarshalText, path)
	}
	if d, ok := v.Addr().Interface().(*time.Duration); ok {
		return decodeText(raw, durationInto(d), path)
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return decodeValue(raw, v.Elem(), path)
	case reflect.Struct:
		return decodeObject(raw, v, path)
	case reflect.Slice:
		return decodeList(raw, v, path)
	case reflect.Map:
		return decodeMap(raw, v, path)
	default:
		return decodeScalar(raw, v, path)
	}
}

func decodeObject(raw json.RawMessage, v reflect.Value, path string) Faults {
	if d, ok := v.Addr().Interface().(defaulter); ok {
		d.setDefaults()
	}
	members, err := readObject(raw)
	if err != nil {
		return Faults{{path, err.Error()}}
	}
	var all Faults
	fields := fieldsOf(v.Type())
	seen := map[string]bool{}
	for _, m := range members {
		at := join(path, m.key)
		index, known := fields[m.key]
		switch {
		case !known:
			all = append(all, Fault{at, UnknownKey(m.key, slices.Sorted(maps.Keys(fields)))})
		case seen[m.key]:
			all = append(all, Fault{at, "is given twice"})
		default:
			all = append(all, decodeValue(m.value, v.FieldByIndex(index), at)...)
		}
		seen[m.key] = true
	}
	return all
}

func decodeList(raw json.RawMessage, v reflect.Value, path string) Faults {
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return Faults{{path, "must be a list"}}
	}
	var all Faults
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, item := range items {
		at := fmt.Sprintf("%s[%d]", path, i)
		if string(item) == "null" {
			all = append(all, Fault{at, "must not be null"})
			continue
		}
		all = append(all, decodeValue(item, v.Index(i), at)...)
	}
	return all
}

func decodeMap(raw json.RawMessage, v reflect.Value, path string) Faults {
	members, err := readObject(raw)
	if err != nil {
		return Faults{{path, err.Error()}}
	}
	var all Faults
	v.Set(reflect.MakeMap(v.Type()))
	for _, m := range members {
		key, value := reflect.ValueOf(m.key), reflect.New(v.Type().Elem()).Elem()
		switch {
		case v.MapIndex(key).IsValid():
			all = append(all, Fault{join(path, m.key), "is given twice"})
		case string(m.value) == "null":
			all = append(all, Fault{join(path, m.key), "must not be null: leave it out, or give it a value"})
		default:
			all = append(all, decodeValue(m.value, value, join(path, m.key))...)
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

func decodeScalar(raw json.RawMessage, v reflect.Value, path string) Faults {
	if json.Unmarshal(raw, v.Addr().Interface()) == nil {
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		return Faults{{path, "must be a string, in quotes"}}
	case reflect.Bool:
		return Faults{{path, "must be true or false"}}
	case reflect.Int:
		return Faults{{path, "must be a whole number, without quotes"}}
	default:
		return Faults{{path, "must be a number, without quotes"}}
	}
}
