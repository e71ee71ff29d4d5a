package settings

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"tinyforge/db"
	"tinyforge/templates"
)

// workloadFormPage is what the page of a workload's form shows.
type workloadFormPage struct {
	Form       *templates.Form
	Saved      db.Workload // zero when it is to be made
	Repository db.Repository
	Action     string
	JSON       bool
	Keys       []Key  // that the JSON may have
	Caret      string // the line of JSON that is wrong, with a mark below

	Found     []Found
	FoundUsed int
	Unread    *templates.Message // why nothing is found
	Matches   []string           // refs that the pattern follows, by their short names
	NoMatch   bool
	RefsKnown bool

	WhyNot      templates.Message // blue-green is not to be had
	Default     db.Strategy       // "" when it is not known yet
	Only        []string          // paths that are in JSON alone
	Runtimes    []string          // to choose from; nil where there is nothing to choose
	Env         []rowView
	Volumes     []rowView
	Users       []rowView
	AccountHint templates.Message

	RoutingOpen, ChecksOpen bool

	Runs      bool // something of it is running
	Probed    templates.Message
	Pasted    []templates.Message
	Conflicts []difference
}

// rowView is a row of a list of the form.
type rowView struct {
	Index             int
	ID                string // of its field, for errors
	Name, Was, Value  string
	Secret, Set, More bool
	Label             int // its number, from 1
}

// showWorkloadForm answers with the form. said is what was done with it.
func (v *visit) showWorkloadForm(status int, f *workloadForm, change func(*workloadFormPage)) error {
	page := workloadFormPage{Form: f.Form, Saved: f.saved, Repository: f.repo, JSON: f.json, Caret: f.caret, Action: "/workloads", Probed: f.probed, Pasted: f.pasted}
	source := f.Get("source_type")
	if slices.Contains(sourceNames, source) {
		page.WhyNot, page.Default = f.strategies(v.Sources)
		if page.Keys = v.Sources.Keys(source); !f.json {
			page.Only = onlyInJSON(source, json.RawMessage(f.masked()))
		}
	}
	page.AccountHint = templates.Message{Key: "f.registry_password.hint"}
	if readObject(json.RawMessage(f.Get("config_base"))).get("registry", "password") != nil {
		page.AccountHint.Key = "opt.secret_set"
	}
	page.RoutingOpen = f.any("extra_domains", "redirects", "route_paths", "max_body", "route_timeout") || f.Is("strip_prefix", "on") || len(f.users) > 0
	page.ChecksOpen = f.any("check_attempts", "check_interval", "check_limit", "check_start", "check_status")
	page.Runtimes = f.runtimes(v.Runtimes)
	page.rows(f)
	_ = json.Unmarshal([]byte(f.Get("found")), &page.Found)
	page.FoundUsed, _ = strconv.Atoi(f.Get("found_used"))
	v.followed(f, &page)
	fr := frame{Title: v.say("title.workload_new"), Section: "workloads", Crumbs: []crumb{{v.say("nav.workloads"), "/workloads"}, {Text: v.say("title.workload_new")}}}
	if f.saved.ID != 0 {
		name := f.saved.Name
		page.Action = "/workloads/" + name + "/settings"
		fr.Title, fr.Heading = v.say("title.workload_settings", "name", name), name
		fr.Crumbs = []crumb{{v.say("nav.workloads"), "/workloads"}, {name, "/workloads/" + name}, {Text: v.say("nav.settings")}}
		_, err := v.DB.RuntimeState(v.r.Context(), f.saved.ID)
		if err != nil && !errors.Is(err, db.ErrNotFound) {
			return err
		}
		page.Runs = err == nil
	} else {
		fr.Heading = v.say("title.workload_of", "repository", f.repo.FullName)
		fr.Path = address("/workloads/new", "repo", strconv.FormatInt(f.repo.ID, 10), "ref", f.Get("ref"))
	}
	if change != nil {
		change(&page)
	}
	if fr.Form = f.Form; status == http.StatusOK {
		fr.Form = nil
	}
	return v.render(status, "workload-form/edit", fr, page)
}

// followed tells which refs the pattern follows now, where they are known.
func (v *visit) followed(f *workloadForm, page *workloadFormPage) {
	refs := listed(f.Get("refs"))
	if page.RefsKnown = len(refs) > 0; !page.RefsKnown {
		return
	}
	w := db.Workload{RefPattern: f.Get("ref_pattern")}
	if f.Get("trigger") == "tag" {
		w.RefPattern = "tags/" + strings.TrimPrefix(w.RefPattern, "tags/")
	}
	for _, ref := range matches(w, f.repo, refs) {
		page.Matches = append(page.Matches, strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/"))
	}
	if page.NoMatch = len(page.Matches) == 0; len(page.Matches) > 5 {
		page.Matches = append(page.Matches[:5], "…")
	}
}

func (p *workloadFormPage) rows(f *workloadForm) {
	for i, name := range f.Values["env_name"] {
		_, held := f.known.Env[at(f.Values["env_was"], i)]
		p.Env = append(p.Env, rowView{Index: i, Label: i + 1, ID: "env_" + strconv.Itoa(i), Name: name, Was: at(f.Values["env_was"], i), Value: at(f.Values["env_value"], i),
			Secret: f.Is("env_secret", strconv.Itoa(i)), Set: held && at(f.Values["env_was"], i) != ""})
	}
	for i, name := range f.Values["volume_name"] {
		p.Volumes = append(p.Volumes, rowView{Index: i, Label: i + 1, ID: "volume_" + strconv.Itoa(i), Name: name, Value: at(f.Values["volume_path"], i), More: f.Is("volume_ro", strconv.Itoa(i))})
	}
	for i, row := range append(slices.Clone(f.users), guestRow{}) {
		p.Users = append(p.Users, rowView{Index: i, Label: i + 1, ID: "auth_" + strconv.Itoa(i), Name: row.Name, Was: row.Was, Set: row.Was != ""})
	}
}

// any tells whether one of the fields says something, or is wrong.
func (f *workloadForm) any(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return f.Get(name) != "" || f.Error(name) != nil })
}
