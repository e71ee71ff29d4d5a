package templates

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

//go:embed locales
var localeFiles embed.FS

// Languages are those that every text is there in. The first is what is taken when nothing else fits.
var Languages = []string{"en", "ru"}

// text is one text of a language: one string, or a string for each plural form.
type text struct {
	plain string
	forms map[string]string // by "one", "few", "many", "other"
}

// UnmarshalJSON takes a string or an object of plural forms.
func (t *text) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &t.plain) == nil {
		return nil
	}
	return json.Unmarshal(b, &t.forms)
}

// catalog holds the texts of one language by key.
type catalog struct {
	language string
	texts    map[string]text
}

// loadCatalog reads all files of a language's folder.
func loadCatalog(files fs.FS, lang string) (*catalog, error) {
	c := &catalog{language: lang, texts: map[string]text{}}
	names, err := fs.Glob(files, path.Join("locales", lang, "*.json"))
	if err != nil || len(names) == 0 {
		return nil, errors.Join(fmt.Errorf("read texts of %s: no files", lang), err)
	}
	for _, name := range names {
		raw, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read texts: %w", err)
		}
		var texts map[string]text
		if err := json.Unmarshal(raw, &texts); err != nil {
			return nil, fmt.Errorf("read texts of %s: %w", name, err)
		}
		for key, t := range texts {
			if _, twice := c.texts[key]; twice {
				return nil, fmt.Errorf("read texts of %s: %s stands in two files", name, key)
			}
			c.texts[key] = t
		}
	}
	return c, nil
}

// pluralForms are the names of the forms, as in the files.
var pluralForms = map[plural.Form]string{plural.Other: "other", plural.Zero: "zero", plural.One: "one", plural.Two: "two", plural.Few: "few", plural.Many: "many"}

// form returns the text for a count: by the rules of the language, as CLDR has them.
func (c *catalog) form(key string, n int) (string, error) {
	t, ok := c.texts[key]
	if !ok || t.forms == nil {
		return "", fmt.Errorf("%s has no plural forms in %s", key, c.language)
	}
	name := pluralForms[plural.Cardinal.MatchPlural(language.Make(c.language), n, 0, 0, 0, 0)]
	if s, ok := t.forms[name]; ok {
		return s, nil
	}
	return "", fmt.Errorf("%s has no form %q in %s", key, name, c.language)
}

func (c *catalog) plain(key string) (string, error) {
	t, ok := c.texts[key]
	if !ok || t.forms != nil {
		return "", fmt.Errorf("there is no text %s in %s", key, c.language)
	}
	return t.plain, nil
}

// fill puts values into a text's placeholders: name, value, name, value. A placeholder without a value is an error, since
// somebody would read it.
func fill(s string, values []any) (string, error) {
	if len(values)%2 != 0 {
		return "", fmt.Errorf("fill %q: a name without a value", s)
	}
	pairs := make([]string, 0, len(values))
	for i := 0; i < len(values); i += 2 {
		pairs = append(pairs, "{"+fmt.Sprint(values[i])+"}", fmt.Sprint(values[i+1]))
	}
	for _, name := range placeholders(s) {
		if !strings.Contains(strings.Join(pairs, "\x00"), "{"+name+"}") {
			return "", fmt.Errorf("fill %q: no value for %s", s, name)
		}
	}
	return strings.NewReplacer(pairs...).Replace(s), nil
}

// placeholders are the names in braces in a text.
func placeholders(s string) (names []string) {
	for {
		_, after, ok := strings.Cut(s, "{")
		name, rest, closed := strings.Cut(after, "}")
		if !ok || !closed {
			return names
		}
		names, s = append(names, name), rest
	}
}
