package source

import (
	"maps"
	"reflect"
	"slices"
	"time"
)

// Key is one that a config may have.
type Key struct {
	Path    string // "healthcheck.path"
	Example string // of a value, as YAML
}

// Keys are those that the source's config may have, sorted.
func (*Dockerfile) Keys() []Key { return keysOf(reflect.TypeFor[dockerfileConfig](), "") }

// Keys are those that the source's config may have, sorted.
func (*Image) Keys() []Key { return keysOf(reflect.TypeFor[imageConfig](), "") }

// Keys are those that the source's config may have, sorted.
func (*Static) Keys() []Key { return keysOf(reflect.TypeFor[staticConfig](), "") }

// Keys are those that the source's config may have, sorted.
func (*Compose) Keys() []Key { return keysOf(reflect.TypeFor[composeConfig](), "") }

func keysOf(at reflect.Type, before string) (all []Key) {
	fields := fieldsOf(at)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		kind := fields[name].Type
		for kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		if kind.Kind() == reflect.Struct {
			all = append(all, keysOf(kind, before+name+".")...)
			continue
		}
		example := fields[name].Tag.Get("example")
		if example == "" {
			example = exampleOf(kind)
		}
		all = append(all, Key{before + name, example})
	}
	return all
}

// exampleOf is a value that says of which type it is, where no tag has a better one.
func exampleOf(at reflect.Type) string {
	switch {
	case at == reflect.TypeFor[size]():
		return "256MB"
	case at == reflect.TypeFor[time.Duration]():
		return "5s"
	case at.Kind() == reflect.Bool:
		return "true"
	case at.Kind() == reflect.String:
		return `"…"`
	}
	return "1"
}
