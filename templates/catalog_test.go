package templates

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template/parse"
	"time"
	"unicode"
)

func catalogs(t *testing.T) map[string]*catalog {
	t.Helper()
	all := map[string]*catalog{}
	for _, lang := range Languages {
		c, err := loadCatalog(localeFiles, lang)
		if err != nil {
			t.Fatal(err)
		}
		all[lang] = c
	}
	return all
}

// formsOf are the plural forms that a language has of whole numbers.
var formsOf = map[string][]string{"en": {"one", "other"}, "ru": {"few", "many", "one"}}

// TestEveryTextIsThereInEveryLanguage: the same keys, the same placeholders, all plural forms, and in Russian no Latin words
// beyond names and code.
func TestEveryTextIsThereInEveryLanguage(t *testing.T) {
	all := catalogs(t)
	first := all[Languages[0]]
	for lang, c := range all {
		for key, text := range c.texts {
			other, ok := first.texts[key]
			if !ok {
				t.Errorf("%s: %s is in no other language", lang, key)
				continue
			}
			if (text.forms == nil) != (other.forms == nil) {
				t.Errorf("%s: %s has plural forms in one language only", lang, key)
			}
			if text.forms != nil {
				var forms []string
				for form := range text.forms {
					forms = append(forms, form)
				}
				slices.Sort(forms)
				if !slices.Equal(forms, formsOf[lang]) {
					t.Errorf("%s: %s has the forms %q", lang, key, forms)
				}
			}
			if got, want := names(text), names(other); !slices.Equal(got, want) {
				t.Errorf("%s: %s has the placeholders %q, the other %q", lang, key, got, want)
			}
			if strings.TrimSpace(text.plain) == "" && text.forms == nil && key != "number.thousands" {
				t.Errorf("%s: %s is empty", lang, key)
			}
		}
		if len(c.texts) != len(first.texts) {
			t.Errorf("%s has %d texts, %s %d", lang, len(c.texts), Languages[0], len(first.texts))
		}
	}
	for key := range first.texts {
		for lang, c := range all {
			if _, ok := c.texts[key]; !ok {
				t.Errorf("%s lacks %s", lang, key)
			}
		}
	}
}

// names are the placeholders of a text, once each. The count may be left out of a form.
func names(t text) (all []string) {
	texts := []string{t.plain}
	for _, s := range t.forms {
		texts = append(texts, s)
	}
	for _, s := range texts {
		all = append(all, placeholders(s)...)
	}
	all = slices.DeleteFunc(all, func(name string) bool { return name == "n" && t.forms != nil })
	slices.Sort(all)
	return slices.Compact(all)
}

func TestPluralForms(t *testing.T) {
	all := catalogs(t)
	for lang, want := range map[string]map[string][]int{
		"en": {"one": {1}, "other": {0, 2, 5, 11, 21, 101}},
		"ru": {"one": {1, 21, 101}, "few": {2, 3, 4, 22, 1354}, "many": {0, 5, 11, 12, 13, 14, 25, 111, 112}},
	} {
		for form, numbers := range want {
			for _, n := range numbers {
				got, err := all[lang].form("n.workloads", n)
				if err != nil || got != all[lang].texts["n.workloads"].forms[form] {
					t.Errorf("%s %d: %q (%v), want the form %s", lang, n, got, err, form)
				}
			}
		}
	}
}

func TestFormats(t *testing.T) {
	now := time.Date(2026, 11, 23, 6, 4, 11, 0, time.UTC)
	set, err := New(func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	en, ru := set.Printer("en", "Etc/GMT-3"), set.Printer("ru", "Etc/GMT-3")
	for _, c := range []struct{ what, got, want string }{
		{"thousands", en.Number(1354), "1,354"}, {"тысячи", ru.Number(1354), "1\u00a0354"},
		{"million", en.Number(-1234567), "-1,234,567"}, {"small", en.Number(12), "12"},
		{"size", en.Size(12_400_000), "12.4\u00a0MB"}, {"размер", ru.Size(12_400_000), "12,4\u00a0МБ"},
		{"bytes", en.Size(999), "999\u00a0B"}, {"rounded up", en.Size(999_960), "1.0\u00a0MB"},
		{"ms", en.Duration(340 * time.Millisecond), "340\u00a0ms"}, {"s", ru.Duration(4100 * time.Millisecond), "4,1\u00a0с"},
		{"min", en.Duration(72 * time.Second), "1\u00a0min\u00a012\u00a0s"}, {"h", en.Duration(125 * time.Minute), "2\u00a0h\u00a05\u00a0min"},
		{"d", ru.Duration(76 * time.Hour), "3\u00a0дн.\u00a04\u00a0ч"},
		{"ago", en.Ago(now.Add(-3 * time.Minute)), "3 minutes ago"}, {"давно", ru.Ago(now.Add(-21 * time.Hour)), "21 час назад"},
		{"now", en.Ago(now.Add(-3 * time.Second)), "just now"}, {"in", en.Ago(now.Add(5 * time.Minute)), "in 6 minutes"},
		{"short", en.Short(now), "23 Nov 2026, 09:04"}, {"коротко", ru.Short(now), "23 нояб. 2026, 09:04"},
		{"exact", en.Exact(now), "23 November 2026, 09:04:11 UTC+3"}, {"точно", ru.Exact(now), "23 ноября 2026\u00a0г., 09:04:11 UTC+3"},
		{"list", en.List([]string{"a", "b", "c"}), "a, b and c"}, {"one", ru.List([]string{"a"}), "a"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.what, c.got, c.want)
		}
	}
	if _, err := en.T("state.superseded_by"); err == nil {
		t.Error("a placeholder without a value is said")
	}
}

// TestNoPageHasALiteralText: whatever people read comes from the texts.
func TestNoPageHasALiteralText(t *testing.T) {
	tags := regexp.MustCompile(`(?s)<[^>]*>|&[a-z]+;|<!--.*?-->`)
	eachTemplate(t, func(name string, node parse.Node) {
		text, ok := node.(*parse.TextNode)
		if !ok {
			return
		}
		for attribute := range strings.SplitSeq(string(text.Text), " ") {
			for _, spoken := range []string{`title="`, `alt="`, `aria-label="`, `placeholder="`} {
				if after, ok := strings.CutPrefix(attribute, spoken); ok && strings.IndexFunc(after, unicode.IsLetter) == 0 {
					t.Errorf("%s says %q", name, attribute)
				}
			}
		}
	})
	err := fs.WalkDir(pageFiles, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(pageFiles, name)
		plain := regexp.MustCompile(`(?s)\{\{.*?\}\}| [a-z-]+="[^"<>]*"`).ReplaceAllString(string(raw), "")
		if words := strings.TrimSpace(tags.ReplaceAllString(plain, " ")); strings.ContainsFunc(words, unicode.IsLetter) {
			t.Errorf("%s has a text of its own: %q", name, strings.Join(strings.Fields(words), " "))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func eachTemplate(t *testing.T, f func(name string, node parse.Node)) {
	t.Helper()
	set, err := New(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	pages, err := set.pages(place{"en", "UTC"})
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range pages {
		for _, tmpl := range page.Templates() {
			if tmpl.Tree != nil && tmpl.Tree.Root != nil {
				walk(tmpl.Tree.Root, func(n parse.Node) { f(name+" "+tmpl.Name(), n) })
			}
		}
	}
}

func walk(node parse.Node, f func(parse.Node)) {
	f(node)
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, child := range n.Nodes {
			walk(child, f)
		}
	case *parse.IfNode:
		walkBranch(&n.BranchNode, f)
	case *parse.RangeNode:
		walkBranch(&n.BranchNode, f)
	case *parse.WithNode:
		walkBranch(&n.BranchNode, f)
	}
}

func walkBranch(n *parse.BranchNode, f func(parse.Node)) {
	walk(n.List, f)
	if n.ElseList != nil {
		walk(n.ElseList, f)
	}
}

// composed are keys that are put together of parts, in the templates or in Go.
var composed = regexp.MustCompile(`^(f\.[a-z_.]+\.(label|hint)|(opt|state|status|strategy|phase|role|audit|month|size|language|fail|todo|dlv|why|kind|cause|agent|check|about|once)\..+)$`)

// TestEveryTextIsUsed: a key stands in a template or in the pages' code, or its last part does where it is composed.
func TestEveryTextIsUsed(t *testing.T) {
	var used strings.Builder
	for _, folder := range []string{".", "../app/settings", "../cmd/tinyforge"} {
		err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(name, "_test.go") || !(strings.HasSuffix(name, ".go") || strings.HasSuffix(name, ".html")) {
				return err
			}
			raw, err := os.ReadFile(name)
			used.Write(raw)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	all := used.String()
	for key := range catalogs(t)["en"].texts {
		if strings.Contains(all, fmt.Sprintf("%q", key)) {
			continue
		}
		if !composed.MatchString(key) {
			t.Errorf("%s is used nowhere", key)
			continue
		}
		if area, _, _ := strings.Cut(key, "."); area != "f" && strings.Contains(all, `"`+area+".") {
			continue // put together of it and a code
		}
		_, part, _ := strings.Cut(key, ".")
		if strings.HasPrefix(key, "f.") {
			part = strings.TrimSuffix(strings.TrimSuffix(part, ".label"), ".hint")
		}
		if part, _, _ = strings.Cut(part, "_"); !strings.Contains(all, part) {
			t.Errorf("%s is used nowhere: nothing names %q", key, part)
		}
	}
}
