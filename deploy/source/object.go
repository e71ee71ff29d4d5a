package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"tinyforge/deploy/shorten"
)

// member is one key of a JSON object with its value.
type member struct {
	key   string
	value json.RawMessage
}

// readObject returns the members of a valid JSON value as they are written, those that are given twice included.
func readObject(raw json.RawMessage) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("must be an object")
	}
	var members []member
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("is not a valid object: %w", err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("is not a valid object: %w", err)
		}
		members = append(members, member{key.(string), value})
	}
	return members, nil
}

// fieldsOf maps JSON names to fields, those of embedded structs included.
func fieldsOf(t reflect.Type) map[string]reflect.StructField {
	fields := map[string]reflect.StructField{}
	for _, f := range reflect.VisibleFields(t) {
		if name := f.Tag.Get("json"); name != "" && f.IsExported() {
			fields[name] = f
		}
	}
	return fields
}

func join(path, key string) string {
	key = shorten.Typed(key)
	if key == "" || strings.ContainsAny(key, ".[]\"\\ :\n\t") {
		return fmt.Sprintf("%s[%q]", path, key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}
