package settings

import (
	"encoding/json"
	"slices"
	"strings"

	"tinyforge/templates"
)

// fillConfig writes what a config says into the fields of the form, and the config itself, of which the fields are a view.
// Its secrets are masked.
func fillConfig(f *templates.Form, source string, config json.RawMessage) {
	c := readObject(config)
	f.Values.Set("config_base", string(c.raw()))
	f.Values.Set("source_was", source)
	f.Values.Set("source_type", source)
	kind := "none"
	if isObject(c.get("healthcheck")) {
		kind = "http"
	}
	f.Values.Set("check_kind", kind)
	for _, field := range configFields {
		if field.of(source) {
			text, _ := field.said(c)
			f.Values.Set(field.name, text)
		}
	}
	rows, _ := savedVolumes(c)
	setVolumes(f, rows, 2)
}

// composeConfig is the config that the form says, its secrets masked: the one it was filled from, with what was changed in
// its fields. A field that was not sent changes nothing.
func composeConfig(f *templates.Form) json.RawMessage {
	source := f.Get("source_type")
	c := readObject(json.RawMessage(f.Get("config_base")))
	if was := f.Get("source_was"); was != source {
		c = movable(c, was, source)
	}
	if f.Values.Has("check_kind") && !isChecked(f) && isObject(c.get("healthcheck")) {
		c = c.with(nil, "healthcheck")
	}
	modeWas, _ := field("static_mode").said(c)
	account, _ := field("registry_username").said(c)
	for _, field := range configFields {
		if !field.of(source) || !f.Values.Has(field.name) {
			continue
		}
		says := strings.TrimSpace(f.Get(field.name))
		if field.when != nil && !field.when(f) {
			if source == "static" && modeWas != f.Get("static_mode") {
				c = c.with(nil, field.path...)
			}
			continue
		}
		if said, _ := field.said(c); said == says {
			continue
		}
		if says == field.absent || says == "" {
			c = c.with(nil, field.path...)
		} else {
			c = c.with(field.as.write(says), field.path...)
		}
	}
	if source == "image" && account != "" && f.Values.Has("registry_username") && f.Get("registry_username") == "" {
		c = c.with(nil, "registry")
	}
	if f.Values.Has("volume_name") && slices.Contains(containers, source) {
		rows := volumeRows(f)
		if saved, _ := savedVolumes(c); !slices.Equal(saved, rows) {
			c = c.with(nil, "volumes")
			if len(rows) > 0 {
				c = c.with(rawJSON(rows), "volumes")
			}
		}
	}
	return c.raw()
}

func field(name string) configField {
	return configFields[slices.IndexFunc(configFields, func(c configField) bool { return c.name == name })]
}

// movable is what of a config another source has too.
func movable(c object, was, source string) (kept object) {
	shared := []string{"deploy_strategy", "report_commit_status", "port", "healthcheck", "env"}
	if was != "compose" && source != "compose" {
		shared = append(shared, "volumes", "memory", "cpus", "user", "read_only", "tmpfs", "capabilities", "networks", "log")
		shared = append(shared, placed...)
	}
	if source == "image" {
		shared = append(shared, "registry") // a password that was typed with the change
	}
	for _, m := range c {
		if slices.Contains(shared, m.key) {
			kept = append(kept, m)
		}
	}
	return kept
}

// onlyInJSON are the paths of a config for which the form has no field.
func onlyInJSON(source string, config json.RawMessage) (paths []string) {
	c := readObject(config)
	for _, m := range c {
		if string(m.value) == "null" {
			continue
		}
		if nested := readObject(m.value); hasFieldBelow(source, m.key) && nested != nil {
			for _, inner := range nested {
				if !shows(source, c, []string{m.key, inner.key}) && string(inner.value) != "null" {
					paths = append(paths, pathText([]string{m.key, inner.key}))
				}
			}
			continue
		}
		if !shows(source, c, []string{m.key}) {
			paths = append(paths, pathText([]string{m.key}))
		}
	}
	return paths
}

func hasFieldBelow(source, key string) bool {
	return slices.ContainsFunc(configFields, func(c configField) bool { return c.of(source) && len(c.path) == 2 && c.path[0] == key })
}

// shows tells whether a field of the form shows the value at a path.
func shows(source string, c object, path []string) bool {
	if path[0] == "volumes" {
		_, ok := savedVolumes(c)
		return ok && slices.Contains(containers, source)
	}
	if slices.Equal(path, []string{"registry", "password"}) {
		return source == "image"
	}
	for _, field := range configFields {
		if field.of(source) && slices.Equal(field.path, path) {
			_, ok := field.said(c)
			return ok
		}
	}
	return false
}

// fieldOf is the field that shows what a path of a config says, "config" where there is none.
func fieldOf(source, path string) string {
	best, name := -1, "config"
	for _, field := range configFields {
		p := pathText(field.path)
		if field.of(source) && len(p) > best && (path == p || strings.HasPrefix(path, p+".") || strings.HasPrefix(path, p+"[")) {
			best, name = len(p), field.name
		}
	}
	switch {
	case name != "config":
	case strings.HasPrefix(path, "volumes") && slices.Contains(containers, source):
		return "volumes"
	case path == "healthcheck":
		return "check_kind"
	case strings.HasPrefix(path, "registry") && source == "image":
		return "registry_password"
	case strings.HasPrefix(path, "storage") && source == "static":
		return "static_storage"
	}
	return name
}
