package settings

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"tinyforge/templates"
)

// sourceNames are the sources that a form can choose, in the order of its cards.
var sourceNames = []string{"dockerfile", "compose", "static", "image"}

var (
	containers = []string{"dockerfile", "static", "image"}
	onStatic   = []string{"static"}
)

// configField is a field of the form for one value of a source's config.
type configField struct {
	name    string   // of the field; its label is f.NAME.label
	path    []string // of the value
	sources []string // that have it
	as      notation
	absent  string                       // what the field says where the config says nothing
	when    func(f *templates.Form) bool // whether the value has a meaning; nil is always
}

// configFields are all of them. A value that the form does not change stays as it is written, whatever it is.
var configFields = []configField{
	{name: "context", path: []string{"context"}, sources: []string{"dockerfile"}, as: asWords},
	{name: "dockerfile", path: []string{"dockerfile"}, sources: []string{"dockerfile"}, as: asWords},
	{name: "target", path: []string{"target"}, sources: []string{"dockerfile"}, as: asWords},
	{name: "build_args", path: []string{"build_args"}, sources: []string{"dockerfile"}, as: asPairs},
	{name: "compose_file", path: []string{"files"}, sources: []string{"compose"}, as: asLines},
	{name: "compose_service", path: []string{"service"}, sources: []string{"compose"}, as: asWords},
	{name: "static_mode", path: []string{"mode"}, sources: onStatic, as: asWords, absent: "static"},
	{name: "static_dir", path: []string{"root"}, sources: onStatic, as: asWords},
	{name: "static_spa", path: []string{"spa"}, sources: onStatic, as: asFlag, absent: "off", when: servesFiles},
	{name: "static_entry", path: []string{"entrypoint"}, sources: onStatic, as: asWords, when: runsDeno},
	{name: "static_serve", path: []string{"serve"}, sources: onStatic, as: asFlag, absent: "off", when: runsDeno},
	{name: "static_task", path: []string{"task"}, sources: onStatic, as: asWords, when: runsDeno},
	{name: "static_storage", path: []string{"storage", "enabled"}, sources: onStatic, as: asFlag, absent: "off", when: runsDeno},
	{name: "image", path: []string{"image"}, sources: []string{"image"}, as: asWords},
	{name: "registry_username", path: []string{"registry", "username"}, sources: []string{"image"}, as: asWords},

	{name: "port", path: []string{"port"}, sources: sourceNames, as: asNumber},
	{name: "check_path", path: []string{"healthcheck", "path"}, sources: sourceNames, as: asWords, when: isChecked},
	{name: "check_status", path: []string{"healthcheck", "status"}, sources: sourceNames, as: asNumber, when: isChecked},
	{name: "check_interval", path: []string{"healthcheck", "interval"}, sources: sourceNames, as: asWords, when: isChecked},
	{name: "check_limit", path: []string{"healthcheck", "timeout"}, sources: sourceNames, as: asWords, when: isChecked},
	{name: "check_attempts", path: []string{"healthcheck", "attempts"}, sources: sourceNames, as: asNumber, when: isChecked},
	{name: "check_start", path: []string{"healthcheck", "start_period"}, sources: sourceNames, as: asWords, when: isChecked},
	{name: "deploy_strategy", path: []string{"deploy_strategy"}, sources: sourceNames, as: asWords},
	{name: "report_commit_status", path: []string{"report_commit_status"}, sources: sourceNames, as: asFlag, absent: "on"},
	{name: "memory", path: []string{"memory"}, sources: containers, as: asWords},
	{name: "cpus", path: []string{"cpus"}, sources: containers, as: asNumber},
	{name: "runtime", path: []string{"runtime"}, sources: containers, as: asWords, absent: onDocker},
	{name: "replicas", path: []string{"replicas"}, sources: containers, as: asNumber},
	{name: "constraints", path: []string{"constraints"}, sources: containers, as: asLines},
}

func servesFiles(f *templates.Form) bool { return f.Get("static_mode") != "deno" }
func runsDeno(f *templates.Form) bool    { return f.Get("static_mode") == "deno" }
func isChecked(f *templates.Form) bool   { return f.Get("check_kind") == "http" }

func (c configField) of(source string) bool { return slices.Contains(c.sources, source) }

// said returns what the field says of a config. ok is false where the config has what no field can say.
func (c configField) said(config object) (text string, ok bool) {
	raw := config.get(c.path...)
	if raw == nil {
		return c.absent, true
	}
	if text, ok = c.as.read(raw); !ok {
		return c.absent, false
	}
	return text, true
}

// notation is how a value of JSON is written in a field. What cannot be written as the value that is meant becomes a string,
// so that the source says what is wrong.
type notation struct {
	read  func(json.RawMessage) (string, bool)
	write func(string) json.RawMessage
}

var asWords = notation{
	read: func(raw json.RawMessage) (s string, ok bool) {
		return s, json.Unmarshal(raw, &s) == nil && s != "" && oneLine(s) && strings.TrimSpace(s) == s
	},
	write: func(s string) json.RawMessage { return rawJSON(s) },
}

// oneLine tells of texts that come back from an input as they went there.
func oneLine(s string) bool { return !strings.ContainsFunc(s, unicode.IsControl) }

var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

var asNumber = notation{
	read: func(raw json.RawMessage) (string, bool) { return string(raw), jsonNumber.Match(raw) },
	write: func(s string) json.RawMessage {
		if s = strings.Replace(s, ",", ".", 1); jsonNumber.MatchString(s) {
			return json.RawMessage(s)
		}
		return rawJSON(s)
	},
}

var asFlag = notation{
	read: func(raw json.RawMessage) (string, bool) {
		switch string(raw) {
		case "true":
			return "on", true
		case "false":
			return "off", true
		}
		return "", false
	},
	write: func(s string) json.RawMessage { return rawJSON(s == "on") },
}

var asLines = notation{
	read: func(raw json.RawMessage) (string, bool) {
		var list []*string
		if json.Unmarshal(raw, &list) != nil || len(list) == 0 {
			return "", false
		}
		var all []string
		for _, s := range list {
			if s == nil || *s == "" || !oneLine(*s) || strings.TrimSpace(*s) != *s {
				return "", false
			}
			all = append(all, *s)
		}
		return strings.Join(all, "\n"), true
	},
	write: func(s string) json.RawMessage { return rawJSON(listed(s)) },
}

// listed are the lines of a text that are not empty.
func listed(s string) (list []string) {
	for line := range strings.SplitSeq(s, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// asPairs is an object of strings, as lines NAME=value.
var asPairs = notation{
	read: func(raw json.RawMessage) (string, bool) {
		members := readObject(raw)
		var all []string
		for _, m := range members {
			var s *string
			if json.Unmarshal(m.value, &s) != nil || s == nil || m.key == "" || strings.Contains(m.key, "=") ||
				!oneLine(m.key+*s) || strings.TrimSpace(m.key+"="+*s) != m.key+"="+*s || strings.TrimSpace(m.key) != m.key {
				return "", false
			}
			all = append(all, m.key+"="+*s)
		}
		return strings.Join(all, "\n"), len(all) > 0
	},
	write: func(s string) json.RawMessage {
		var o object
		for _, line := range listed(s) {
			name, value, _ := strings.Cut(line, "=")
			o = append(o, member{strings.TrimSpace(name), rawJSON(value)})
		}
		return o.raw()
	},
}

// flagNames are the fields that are on or off.
func flagNames() (names []string) {
	for _, field := range configFields {
		if field.absent == "on" || field.absent == "off" {
			names = append(names, field.name)
		}
	}
	return names
}
