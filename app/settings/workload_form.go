package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"tinyforge/db"
	"tinyforge/templates"
)

// workloadForm is the form of a workload, as it was filled in or sent.
type workloadForm struct {
	*templates.Form
	repo   db.Repository
	saved  db.Workload // zero when it is to be made
	known  secrets     // that the form may use
	typed  secrets     // that are in no row
	rows   []envRow
	users  []guestRow
	json   bool // the config is edited as JSON
	caret  string
	probed templates.Message
	pasted []templates.Message // what was read of the pasted text
}

// mostUsers are how many may see a site: each password takes a moment to hash.
const mostUsers = 100

// guestRow is a row of who may see the site. A password is never shown.
type guestRow struct{ Name, Was string }

// sentForm reads the form that was sent.
func (v *visit) sentForm(form *templates.Form, repo db.Repository, saved db.Workload) (*workloadForm, error) {
	f := &workloadForm{Form: form, repo: repo, saved: saved, known: secretsOf(saved), typed: newSecrets(), json: form.Get("view") == "json"}
	if draft := form.Get("draft"); draft != "" {
		err := v.DB.OpenDraft("workload", draft, &f.typed)
		if errors.Is(err, db.ErrDraft) {
			f.Fail("draft", "err.draft_gone")
		} else if err != nil {
			return nil, err
		}
	}
	f.known.add(f.typed)
	for _, name := range append(flagNames(), "strip_prefix") { // "off" comes before "on", so that off is told from absent
		if values := form.Values[name]; len(values) > 1 {
			form.Values[name] = values[len(values)-1:]
		}
	}
	f.rows = envRows(form, f.known, f.typed)
	f.takePaste()
	if err := f.readUsers(); err != nil {
		return nil, err
	}
	if password := form.Get("registry_password"); password != "" && !f.json && form.Get("source_type") == "image" {
		f.typed.Config["registry.password"] = rawJSON(password)
		base := readObject(json.RawMessage(form.Get("config_base")))
		form.Values.Set("config_base", string(base.with(rawJSON(bullets), "registry", "password").raw()))
	}
	if f.json {
		masked, held, err := maskConfig(form.Get("config"))
		if err != nil {
			masked, held = maskBroken(form.Get("config"))
		}
		form.Values.Set("config", masked)
		f.typed.add(secrets{Config: held})
	}
	f.known.add(f.typed)
	return f, v.keep(f)
}

// keep takes the secrets out of what is shown again, and seals what is in no row yet.
func (v *visit) keep(f *workloadForm) error {
	f.Values.Del("registry_password")
	f.Values.Del("draft")
	if f.typed.empty() {
		return nil
	}
	draft, err := v.DB.SealDraft("workload", f.typed, draftLife)
	f.Values.Set("draft", draft)
	return err
}

// readUsers reads who may see the site. Passwords are hashed at once.
func (f *workloadForm) readUsers() error {
	names, was, passwords := f.Values["auth_name"], f.Values["auth_was"], f.Values["auth_password"]
	for i := range names {
		row := guestRow{strings.TrimSpace(names[i]), at(was, i)}
		password := at(passwords, i)
		id := "auth_" + strconv.Itoa(len(f.users))
		hash, held := f.known.Passwords[row.Was]
		switch {
		case row.Name+password == "" && row.Was == "":
			continue
		case row.Name == "" && password == "": // the row was emptied
			continue
		case len(f.users) >= mostUsers:
			f.Fail("auth", "err.too_many_users", "max", mostUsers)
			if password != "" || !held {
				row.Was = ""
			}
		case len(password) > 72:
			f.Fail(id, "err.too_long", "max", 72)
		case password != "" && bcrypt.CompareHashAndPassword([]byte(f.known.Passwords[row.Name]), []byte(password)) == nil:
			row.Was = row.Name // the same form, sent twice, says the same
		case password != "":
			made, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
			if err != nil {
				return fmt.Errorf("hash password: %w", err)
			}
			f.typed.Passwords[row.Name], row.Was = string(made), row.Name
		case !held:
			f.Fail(id, "err.password_missing")
			row.Was = ""
		case row.Name != row.Was:
			f.typed.Passwords[row.Name], row.Was = hash, row.Name
		}
		f.users = append(f.users, row)
	}
	return nil
}

// masked is the config that the form says, its secrets masked.
func (f *workloadForm) masked() string {
	if f.json {
		return f.Get("config")
	}
	return string(composeConfig(f.Form))
}

// config is what the form says, with its secrets. Where it cannot be read, that is noted.
func (f *workloadForm) config() (config json.RawMessage, ok bool) {
	text := f.masked()
	whole, missing, err := unmaskConfig(text, f.known.Config)
	var fault *jsonFault
	switch {
	case errors.As(err, &fault) && fault.twice != "":
		f.failJSON(text, fault.offset, templates.Message{Key: "err.json_twice", Values: []any{"key", fault.twice}})
	case errors.As(err, &fault):
		f.failJSON(text, fault.offset, templates.Message{Detail: fault.text})
	case errors.Is(err, errSecretGone):
		field := "config"
		if !f.json {
			field = fieldOf(f.Get("source_type"), missing)
		}
		f.Fail(field, "err.secret_gone_at", "path", missing)
	case err != nil:
		f.Refuse("config", templates.Message{Detail: err.Error()})
	}
	return json.RawMessage(whole), err == nil
}

// failJSON notes what is wrong with the JSON, and where that is.
func (f *workloadForm) failJSON(text string, offset int, m templates.Message) {
	line, column, _ := placeOf(text, offset)
	said := templates.Message{Key: "err.json_at", Values: []any{"line", line, "column", column}, Detail: m.Detail}
	if m.Key != "" {
		said = templates.Message{Key: m.Key, Values: append(m.Values, "line", line, "column", column)}
	}
	f.Errors = append(f.Errors, templates.FieldError{Field: "config", Message: said})
}

// mark shows the place in the JSON, unless another one is shown. The text must be one whose secrets are masked.
func (f *workloadForm) mark(text string, offset int) {
	if f.caret != "" {
		return
	}
	_, column, content := placeOf(text, offset)
	from := max(0, column-60)
	shown := []rune(content)
	f.caret = string(shown[min(from, len(shown)):min(from+100, len(shown))]) + "\n" + strings.Repeat(" ", max(0, column-1-from)) + "^"
}

// checkConfig lets the source say what is wrong with the config, and notes it where it can be mended.
func (f *workloadForm) checkConfig(sources Sources, source string, config json.RawMessage) {
	text := f.masked()
	values, _ := readJSON(text)
	for _, fault := range sources.Check(source, config) {
		if f.json {
			at := offsetOf(values, fault.Path)
			f.failJSON(text, at, templates.Message{Detail: strings.TrimSpace(fault.Path + " " + fault.Text)})
			f.mark(text, at)
			continue
		}
		name := fieldOf(source, fault.Path)
		m := templates.Message{Detail: fault.Text}
		if known := f.whyNot(source); name == "deploy_strategy" && known.Key != "" {
			m = known
		}
		if name == "config" || name == "volumes" || len(fault.Path) > len(pathText(pathOf(name))) {
			m = templates.Message{Key: "err.at", Values: []any{"path", fault.Path}, Detail: fault.Text}
		}
		f.Refuse(name, m)
	}
}

func pathOf(name string) []string {
	i := slices.IndexFunc(configFields, func(c configField) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return configFields[i].path
}

// whyNot says why blue-green is not to be had, where that is plain from the form. Its zero value says nothing.
func (f *workloadForm) whyNot(source string) templates.Message {
	if source == "compose" {
		return templates.Message{Key: "why.bg_compose"}
	}
	c := readObject(json.RawMessage(f.masked()))
	rows, _ := savedVolumes(c)
	storage, _ := field("static_storage").said(c)
	mode, _ := field("static_mode").said(c)
	switch v := writable(rows); {
	case source == "static" && mode == "deno" && storage == "on":
		return templates.Message{Key: "why.bg_storage"}
	case v != nil:
		return templates.Message{Key: "why.bg_volume", Values: []any{"path", v.Path}}
	}
	return templates.Message{}
}

// strategies asks the source what would become of each choice: why blue-green is not to be had, zero when it is, and what
// the default is, "" when the source cannot tell yet.
func (f *workloadForm) strategies(sources Sources) (whyNot templates.Message, byDefault db.Strategy) {
	source := f.Get("source_type")
	whole, _, err := unmaskConfig(f.masked(), f.known.Config)
	if err != nil {
		return templates.Message{}, ""
	}
	c := readObject(json.RawMessage(whole))
	byDefault, _, err = sources.Strategy(source, c.with(nil, "deploy_strategy").raw())
	if err != nil {
		byDefault = ""
	}
	asked := c.with(rawJSON(db.BlueGreen), "deploy_strategy").raw()
	reason := ""
	for _, fault := range sources.Check(source, asked) {
		if fault.Path == "deploy_strategy" {
			reason = fault.Text
		}
	}
	if strategy, why, err := sources.Strategy(source, asked); err == nil && strategy != db.BlueGreen {
		reason = why
	}
	if reason == "" {
		return templates.Message{}, byDefault
	}
	if whyNot = f.whyNot(source); whyNot.Key == "" {
		whyNot = templates.Message{Detail: reason}
	}
	return whyNot, byDefault
}

// version is the row's, as the form carries it.
func version(w db.Workload) string { return strconv.FormatInt(w.UpdatedAt.UnixMicro(), 10) }

func formVersion(f *templates.Form) time.Time {
	n, err := strconv.ParseInt(f.Get("version"), 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// sentWorkload is what a form makes of a saved workload. done tells that the form was answered instead: err is what came of that.
func (v *visit) sentWorkload(form *templates.Form, repo db.Repository, saved db.Workload) (f *workloadForm, w db.Workload, done bool, err error) {
	if f, err = v.sentForm(form, repo, saved); err != nil {
		return f, w, true, err
	}
	if done, err := v.operate(f); done {
		return f, w, true, err
	}
	if w = v.build(f); !f.Valid() {
		return f, w, true, v.wrongWorkload(f)
	}
	return f, w, false, nil
}
