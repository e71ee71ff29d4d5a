package settings

import (
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tinyforge/app"
	"tinyforge/db"
	"tinyforge/templates"
)

// envRow is a row of the form's variables.
type envRow struct {
	Name   string
	Was    string // the name under which its secret is known, or was; "" when there is none yet
	Value  string // "" of a secret: it is never shown
	Secret bool
	index  int // in the form that was sent; -1 when it was pasted
}

const (
	mostRows  = 1000    // of any list of a form
	mostValue = 128_000 // bytes of a variable: more, a process cannot be given
)

// envRows reads the rows. Secrets that were typed go to typed.
func envRows(f *templates.Form, known, typed secrets) (rows []envRow) {
	names, was, values := f.Values["env_name"], f.Values["env_was"], f.Values["env_value"]
	for i := range max(len(names), len(values)) {
		row := envRow{Name: strings.TrimSpace(at(names, i)), Was: at(was, i), Value: at(values, i), Secret: f.Is("env_secret", strconv.Itoa(i)), index: i}
		replace := row.Value != "" || f.Is("env_replace", strconv.Itoa(i))
		secret, held := known.Env[row.Was]
		held = held && row.Was != ""
		switch {
		case row.Name == "" && row.Value == "" && row.Was == "":
			continue
		case !row.Secret:
			if held && !replace {
				f.Fail("env_"+strconv.Itoa(len(rows)), "err.secret_plain")
				row.Secret = true
			} else {
				row.Was = ""
			}
		case row.Was != "" && !held && !replace: // env says so
		case replace || !held:
			typed.Env[row.Name], row.Was, row.Value = row.Value, row.Name, ""
		case row.Name != row.Was:
			typed.Env[row.Name], row.Was = secret, row.Name
		}
		rows = append(rows, row)
	}
	return rows
}

// setEnv writes the rows into the form, and some that are empty.
func setEnv(f *templates.Form, rows []envRow, empty int) {
	values := url.Values{"env_name": {}, "env_was": {}, "env_value": {}, "env_secret": {}, "env_replace": {}}
	for i, row := range append(slices.Clone(rows), make([]envRow, empty)...) {
		values.Add("env_name", row.Name)
		values.Add("env_was", row.Was)
		values.Add("env_value", row.Value)
		if row.Secret {
			values.Add("env_secret", strconv.Itoa(i))
		}
	}
	maps.Copy(f.Values, values)
}

// savedEnv are the rows of a saved workload, by name.
func savedEnv(w db.Workload) (rows []envRow) {
	for _, name := range slices.Sorted(maps.Keys(w.Env)) {
		if slices.Contains(w.Plain, name) {
			rows = append(rows, envRow{Name: name, Value: w.Env[name]})
		} else {
			rows = append(rows, envRow{Name: name, Was: name, Secret: true})
		}
	}
	return rows
}

// env makes the variables of the rows, and notes what is wrong with them.
func env(f *templates.Form, rows []envRow, known secrets) (all map[string]string, plain []string) {
	all = map[string]string{}
	if len(rows) > mostRows {
		f.Fail("env", "err.too_many_env", "max", mostRows)
	}
	for i, row := range rows {
		id := "env_" + strconv.Itoa(i)
		_, twice := all[row.Name]
		value, held := row.Value, true
		if row.Secret && row.Was != "" {
			value, held = known.Env[row.Was]
		}
		switch {
		case app.CheckEnvName(row.Name) != "" || len(row.Name) > 256:
			f.Fail(id, "err.env_name")
		case twice:
			f.Fail(id, "err.env_dup", "name", row.Name)
		case !held:
			f.Fail(id, "err.secret_gone")
		case len(value) > mostValue:
			f.Fail(id, "err.too_long", "max", mostValue)
		}
		if all[row.Name] = value; !row.Secret {
			plain = append(plain, row.Name)
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	return all, plain
}

const blanks = " \t\v\f\r"

var comment = regexp.MustCompile(`\s#`)

// pasted is a variable of a pasted text.
type pasted struct{ Name, Value string }

// parseEnv reads a text of lines NAME=value, as .env files have them: with "export", comments, quotes of both kinds, and in
// those several lines. $NAME stays as it is. A name that stands there twice has its last value. left are the lines that are
// not understood, without what may be a secret.
func parseEnv(text string) (all []pasted, wrong []templates.Message, left string) {
	misunderstood := func(key string, number int, line string) {
		wrong = append(wrong, templates.Message{Key: key, Values: []any{"line", number}})
		if name, _, ok := strings.Cut(line, "="); ok && looksSecret(name, line) {
			line = name + "="
		}
		left += line + "\n"
	}
	text = strings.TrimPrefix(strings.ReplaceAll(text, "\r\n", "\n"), "\uFEFF")
	rest := strings.Split(text, "\n")
	for i := 0; i < len(rest); i++ {
		number, line := i+1, strings.TrimLeft(rest[i], blanks)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		line = strings.TrimLeft(strings.TrimPrefix(line, "export "), blanks)
		name, right, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		value := strings.TrimLeft(right, blanks)
		if !ok || app.CheckEnvName(name) != "" {
			misunderstood("err.env_line", number, line)
			continue
		}
		if value != "" && (value[0] == '"' || value[0] == '\'') {
			closed := false
			for end := i; end < len(rest); end++ {
				if end > i {
					value += "\n" + rest[end]
				}
				if inner, done := unquoted(value); done {
					value, i, closed = inner, end, true
					break
				}
			}
			if !closed {
				misunderstood("err.env_quote", number, line)
				continue
			}
		} else {
			value = unquotedValue(right)
		}
		all = slices.DeleteFunc(all, func(p pasted) bool { return p.Name == name })
		all = append(all, pasted{name, value})
	}
	return all, wrong, left
}

// unquotedValue is a value without quotes, as it stands after the sign: up to a comment. JSON has none, whatever stands in it.
func unquotedValue(right string) string {
	value := strings.TrimSpace(right)
	if at := comment.FindStringIndex(right); at != nil && !json.Valid([]byte(value)) {
		value = strings.TrimSpace(right[:at[0]])
	}
	return value
}

// unquoted returns what stands between the quotes that s begins with, once the second is there.
func unquoted(s string) (inner string, done bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == s[0]:
			return b.String(), true
		case s[i] == '\\' && s[0] == '"' && i+1 < len(s):
			i++
			switch s[i] {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			case '"', '\\', '$':
				b.WriteByte(s[i])
			default:
				b.WriteByte('\\')
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return "", false
}

// envText writes the rows as parseEnv reads them, with bullets for secrets.
func envText(rows []envRow) string {
	var b strings.Builder
	for _, row := range rows {
		value := row.Value
		switch {
		case row.Secret:
			value = bullets
		case value != strings.TrimSpace(value), strings.ContainsAny(value, "\n\t\"'#\\"):
			value = `"` + strings.NewReplacer("\\", `\\`, "\n", `\n`, "\t", `\t`, `"`, `\"`).Replace(value) + `"`
		}
		b.WriteString(row.Name + "=" + value + "\n")
	}
	return b.String()
}

// paste adds pasted variables to the rows, or puts them in their place. It says how many were there, and how many of those
// replaced others.
func paste(rows []envRow, from []pasted, replaceAll bool, typed secrets) (all []envRow, replaced int) {
	if !replaceAll {
		all = slices.Clone(rows)
	}
	for _, p := range from {
		index := func(list []envRow) int {
			return slices.IndexFunc(list, func(r envRow) bool { return r.Name == p.Name })
		}
		row := envRow{Name: p.Name, Value: p.Value, Secret: looksSecret(p.Name, p.Value), index: -1}
		old := index(rows)
		if old >= 0 {
			replaced++
			row.Secret, row.index = row.Secret || rows[old].Secret, rows[old].index
		}
		switch {
		case p.Value == bullets && old >= 0:
			row = rows[old]
		case p.Value == bullets: // of a name that had no secret, or lost it
			row.Secret, row.Was, row.Value = true, row.Name, ""
		case row.Secret && row.Value != "":
			typed.Env[row.Name], row.Was, row.Value = row.Value, row.Name, ""
		}
		if i := index(all); i >= 0 {
			all[i] = row
		} else {
			all = append(all, row)
		}
	}
	return all, replaced
}

var (
	secretName  = regexp.MustCompile(`(?i)PASS|SECRET|TOKEN|KEY|DSN|CREDENTIAL|PRIVATE`)
	secretValue = regexp.MustCompile(`://[^/\s:@]*:[^/\s@]+@|-----BEGIN `)
)

// looksSecret tells of variables that are better not shown.
func looksSecret(name, value string) bool {
	return secretName.MatchString(name) || secretValue.MatchString(value)
}
