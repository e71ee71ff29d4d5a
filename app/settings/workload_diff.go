package settings

import (
	"maps"
	"slices"
	"strings"

	"tinyforge/db"
)

// difference is a field in which two versions of a workload differ.
type difference struct {
	Label        string // key of the field's text
	Name         string // of the variable, or the path in the config
	Mine, Theirs string
	Deploy       bool // it takes effect with the next deployment
}

// plainFields are the fields beside the config's.
var plainFields = []string{"trigger", "ref_pattern", "path_filter", "domain", "extra_domains", "redirects", "route_paths", "strip_prefix", "max_body", "route_timeout"}

// textOf is the name under which a field's texts are.
func textOf(field string) string {
	switch field {
	case "name":
		return "workload.name"
	case "check_kind":
		return "check"
	}
	return field
}

// differences are the fields in which mine differs from theirs. Secrets are not shown.
func differences(mine, theirs db.Workload) (all []difference) {
	a, b := formOf(mine, db.Repository{}), formOf(theirs, db.Repository{})
	add := func(name string, deploy bool) {
		if x, y := a.Get(name), b.Get(name); x != y {
			all = append(all, difference{Label: "f." + textOf(name) + ".label", Mine: x, Theirs: y, Deploy: deploy})
		}
	}
	for _, name := range plainFields {
		add(name, false)
	}
	add("source_type", true)
	if mine.Source == theirs.Source {
		add("check_kind", true)
		for _, field := range configFields {
			if field.of(mine.Source) && (field.when == nil || field.when(a.Form) || field.when(b.Form)) {
				add(field.name, field.name != "report_commit_status")
			}
		}
		if x, y := volumesText(a), volumesText(b); x != y {
			all = append(all, difference{Label: "f.volumes.label", Mine: x, Theirs: y, Deploy: true})
		}
	}
	all = append(all, onlyJSONDifferences(a, b, mine, theirs)...)
	if !slices.Equal(mine.Routing.BasicAuth, theirs.Routing.BasicAuth) {
		all = append(all, difference{Label: "f.auth.label", Mine: usersText(mine), Theirs: usersText(theirs)})
	}
	return append(all, envDifferences(mine, theirs)...)
}

func onlyJSONDifferences(a, b *workloadForm, mine, theirs db.Workload) (all []difference) {
	x, y := readObject([]byte(a.masked())), readObject([]byte(b.masked()))
	full, other := readObject(mine.Config), readObject(theirs.Config)
	paths := append(onlyInJSON(mine.Source, x.raw()), onlyInJSON(theirs.Source, y.raw())...)
	slices.Sort(paths)
	for _, path := range slices.Compact(paths) {
		keys := strings.SplitN(path, ".", 2)
		if string(full.get(keys...)) != string(other.get(keys...)) {
			all = append(all, difference{Label: "f.config.label", Name: path, Mine: string(x.get(keys...)), Theirs: string(y.get(keys...)), Deploy: true})
		}
	}
	if string(full.get("registry", "password")) != string(other.get("registry", "password")) && mine.Source == theirs.Source {
		all = append(all, difference{Label: "f.registry_password.label", Mine: bullets, Theirs: bullets, Deploy: true})
	}
	return all
}

func envDifferences(mine, theirs db.Workload) (all []difference) {
	names := slices.Collect(maps.Keys(mine.Env))
	names = append(names, slices.Collect(maps.Keys(theirs.Env))...)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		x, inMine := mine.Env[name]
		y, inTheirs := theirs.Env[name]
		plain := slices.Contains(mine.Plain, name) && (slices.Contains(theirs.Plain, name) || !inTheirs)
		if x == y && inMine == inTheirs && slices.Contains(mine.Plain, name) == slices.Contains(theirs.Plain, name) {
			continue
		}
		d := difference{Label: "f.env.label", Name: name, Deploy: x != y || inMine != inTheirs}
		if inMine {
			d.Mine = shownIf(plain, x)
		}
		if inTheirs {
			d.Theirs = shownIf(slices.Contains(theirs.Plain, name), y)
		}
		all = append(all, d)
	}
	return all
}

func shownIf(plain bool, value string) string {
	if plain {
		return value
	}
	return bullets
}

func volumesText(f *workloadForm) string {
	var all []string
	for _, row := range volumeRows(f.Form) {
		text := row.Name + ":" + row.Path
		if row.ReadOnly {
			text += ":ro"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func usersText(w db.Workload) string {
	var all []string
	for _, u := range w.Routing.BasicAuth {
		all = append(all, u.Username)
	}
	return strings.Join(all, ", ")
}
