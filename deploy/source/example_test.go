package source

import (
	"reflect"
	"testing"

	"github.com/goccy/go-yaml"
)

// TestExamples: whatever has parts shows an example when it is written wrongly, and each example is right itself.
func TestExamples(t *testing.T) {
	seen := 0
	var look func(at reflect.Type)
	look = func(at reflect.Type) {
		for name, field := range fieldsOf(at) {
			kind := field.Type
			for kind.Kind() == reflect.Pointer {
				kind = kind.Elem()
			}
			example := field.Tag.Get("example")
			if hasParts := kind.Kind() == reflect.Struct || kind.Kind() == reflect.Slice || kind.Kind() == reflect.Map; hasParts && example == "" {
				t.Errorf("%s of %s has no example", name, at)
			}
			if kind.Kind() == reflect.Struct {
				look(kind)
			}
			if example == "" {
				continue
			}
			seen++
			text, err := yaml.YAMLToJSON([]byte(example))
			if err != nil {
				t.Errorf("the example of %s of %s: %v", name, at, err)
				continue
			}
			if faults := decodeValue(text, reflect.New(field.Type).Elem(), place{path: name}); len(faults) > 0 {
				t.Errorf("the example of %s of %s is wrong: %v", name, at, faults)
			}
		}
	}
	for _, c := range []any{dockerfileConfig{}, imageConfig{}, staticConfig{}, composeConfig{}} {
		look(reflect.TypeOf(c))
	}
	if seen < 20 {
		t.Errorf("only %d examples were found", seen)
	}
}
