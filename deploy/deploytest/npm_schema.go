package deploytest

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// npmSchema is what a request may hold. It is closed.
type npmSchema struct {
	required   []string
	properties []npmProperty
}

type npmProperty struct {
	name  string
	check func(value any) (coerced any, fault string)
}

var npmLogin = npmSchema{
	required: []string{"identity", "secret"},
	properties: []npmProperty{
		{"identity", npmText(1, 1000)}, {"secret", npmText(1, 1000)}, {"scope", npmText(1, 1000)},
	},
}

var npmProxyHost = npmSchema{
	required: []string{"domain_names", "forward_scheme", "forward_host", "forward_port"},
	properties: []npmProperty{
		{"domain_names", npmDomains},
		{"forward_scheme", func(v any) (any, string) {
			if v != "http" && v != "https" {
				return nil, "must be equal to one of the allowed values"
			}
			return v, ""
		}},
		{"forward_host", npmText(1, 255)},
		{"forward_port", npmInteger(1, 65535)},
		{"certificate_id", npmInteger(0, math.MaxInt32)},
		{"ssl_forced", npmBoolean},
		{"hsts_enabled", npmBoolean},
		{"hsts_subdomains", npmBoolean},
		{"trust_forwarded_proto", npmBoolean},
		{"http2_support", npmBoolean},
		{"block_exploits", npmBoolean},
		{"caching_enabled", npmBoolean},
		{"allow_websocket_upgrade", npmBoolean},
		{"access_list_id", npmInteger(0, math.MaxInt32)},
		{"advanced_config", npmText(0, math.MaxInt32)},
		{"enabled", npmBoolean},
		{"meta", npmType[map[string]any]("object")},
		{"locations", npmType[[]any]("array")},
	},
}

// check says all that is wrong, and coerces the values in place.
func (s npmSchema) check(body map[string]any, whole bool) npmFault {
	var faults []string
	if whole {
		for _, name := range s.required {
			if _, ok := body[name]; !ok {
				faults = append(faults, fmt.Sprintf("data must have required property '%s'", name))
			}
		}
	} else if len(body) == 0 {
		faults = append(faults, "data must NOT have fewer than 1 properties")
	}
	for _, name := range slices.Sorted(maps.Keys(body)) {
		if !slices.ContainsFunc(s.properties, func(p npmProperty) bool { return p.name == name }) {
			faults = append(faults, "data must NOT have additional properties")
		}
	}
	for _, p := range s.properties {
		value, ok := body[p.name]
		if !ok {
			continue
		}
		coerced, fault := p.check(value)
		if fault != "" {
			if !strings.HasPrefix(fault, "/") {
				fault = " " + fault
			}
			faults = append(faults, "data/"+p.name+fault)
		}
		body[p.name] = coerced
	}
	if len(faults) > 0 {
		return npmBad("%s", strings.Join(faults, ", "))
	}
	return npmFault{}
}

func npmText(least, most int) func(any) (any, string) {
	return func(v any) (any, string) {
		text, ok := v.(string)
		switch {
		case !ok:
			return nil, "must be string"
		case len(text) < least:
			return nil, fmt.Sprintf("must NOT have fewer than %d characters", least)
		case len(text) > most:
			return nil, fmt.Sprintf("must NOT have more than %d characters", most)
		}
		return text, ""
	}
}

func npmInteger(least, most int) func(any) (any, string) {
	return func(v any) (any, string) {
		n := 0
		switch v := v.(type) {
		case nil:
		case float64:
			n = int(v)
		case int:
			n = v
		case string:
			var err error
			if n, err = strconv.Atoi(v); err != nil {
				return nil, "must be integer"
			}
		default:
			return nil, "must be integer"
		}
		switch {
		case n < least:
			return nil, fmt.Sprintf("must be >= %d", least)
		case n > most:
			return nil, fmt.Sprintf("must be <= %d", most)
		}
		return n, ""
	}
}

func npmBoolean(v any) (any, string) {
	switch v {
	case true, false:
		return v, ""
	case 1, 1.0, "true":
		return true, ""
	case 0, 0.0, "false":
		return false, ""
	}
	return nil, "must be boolean"
}

func npmType[T any](name string) func(any) (any, string) {
	return func(v any) (any, string) {
		if _, ok := v.(T); !ok {
			return nil, "must be " + name
		}
		return v, ""
	}
}

const npmDomainPattern = "^[^&| @!#%^();:/\\\\}{=+?<>,~`'\"]+$"

var npmDomain = regexp.MustCompile(npmDomainPattern)

func npmDomains(v any) (any, string) {
	list, ok := v.([]any)
	switch {
	case !ok:
		return nil, "must be array"
	case len(list) == 0:
		return nil, "must NOT have fewer than 1 items"
	case len(list) > 100:
		return nil, "must NOT have more than 100 items"
	}
	var domains []string
	for i, d := range list {
		text, _ := d.(string)
		if !npmDomain.MatchString(text) {
			return nil, fmt.Sprintf("/%d must match pattern \"%s\"", i, npmDomainPattern)
		}
		domains = append(domains, text)
	}
	slices.Sort(domains)
	return domains, ""
}
