package main

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/goccy/go-yaml"

	"tinyforge/app/settings"
	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/source"
)

// pageSources let the pages check configs.
type pageSources map[string]deploy.Source

// Check implements settings.Sources.
func (p pageSources) Check(kind string, config json.RawMessage) (all []settings.Fault) {
	src, ok := p[kind]
	if !ok {
		return []settings.Fault{{Text: "has no source of this kind"}}
	}
	err := src.Validate(config)
	faults, ok := errors.AsType[source.Faults](err)
	if err != nil && !ok {
		return []settings.Fault{{Text: err.Error()}}
	}
	for _, f := range faults {
		all = append(all, settings.Fault{Path: f.Path, Text: f.Text})
	}
	return all
}

// Strategy implements settings.Sources.
func (p pageSources) Strategy(kind string, config json.RawMessage) (strategy db.Strategy, why string, err error) {
	src, ok := p[kind]
	if !ok {
		return "", "", errors.New("there is no source of this kind")
	}
	return src.Strategy(config)
}

// Keys implements settings.Sources.
func (p pageSources) Keys(kind string) (all []settings.Key) {
	src, ok := p[kind].(interface{ Keys() []source.Key })
	if !ok {
		return nil
	}
	for _, key := range src.Keys() {
		example, err := yaml.YAMLToJSON([]byte(key.Example))
		if err != nil {
			continue
		}
		text := strings.ReplaceAll(strings.TrimSpace(string(example)), `"env:PASSWORD"`, `"…"`) // only manifests read the environment
		all = append(all, settings.Key{Path: key.Path, Example: text})
	}
	return all
}
