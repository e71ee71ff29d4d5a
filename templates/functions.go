package templates

import (
	"fmt"
	"html/template"
	"time"
)

// functions are what the templates may call. Each text comes from the printer; none stands in a template.
func (s *Set) functions(p *Printer) template.FuncMap {
	return template.FuncMap{
		"t":        p.T,
		"n":        p.N,
		"has":      p.Has,
		"forms":    p.Forms,
		"say":      p.Say,
		"lang":     p.Language,
		"zone":     p.Zone,
		"number":   p.Number,
		"size":     p.Size,
		"duration": p.Duration,
		"list":     p.List,
		"ago":      p.Ago,
		"short":    p.Short,
		"exact":    p.Exact,
		"rfc":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"commit":   shortCommit,
		"ref":      shortRef,
		"static":   s.static.URL,
		"field":    newField,
		"dict":     dict,
		"choices":  func(values ...string) []string { return values },
		"langs":    func() []string { return Languages },
	}
}

// shortCommit is how a commit is named: by its first seven characters.
func shortCommit(hash string) string { return hash[:min(7, len(hash))] }

// shortRef is a branch or tag without what git writes before it.
func shortRef(ref string) string {
	for _, prefix := range []string{"refs/heads/", "refs/tags/"} {
		if len(ref) > len(prefix) && ref[:len(prefix)] == prefix {
			return ref[len(prefix):]
		}
	}
	return ref
}

// dict makes a map of names and values, for templates that are given more than one thing.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict: a name without a value")
	}
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is not a name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}
