package settings

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tinyforge/app"
	"tinyforge/db"
	"tinyforge/templates"
)

// longest are how many characters a field may have; others 2000.
var longest = map[string]int{"config": 500_000, "config_base": 500_000, "env_value": mostValue, "env_paste": 500_000, "env_shown": 500_000, "build_args": 50_000, "found": 500_000,
	"refs": 500_000, "draft": 1_000_000, "path_filter": 20_000, "extra_domains": 20_000, "redirects": 20_000, "route_paths": 20_000, "constraints": 20_000, "compose_file": 20_000}

// build makes the workload that the form says, and notes what is wrong with it, in the order of the fields.
func (v *visit) build(f *workloadForm) db.Workload {
	w := f.saved
	w.RepositoryID = f.repo.ID
	if w.ID == 0 {
		w.Name, w.FormKey = strings.TrimSpace(f.Get("name")), f.Get("key")
		f.checkName(w.Name)
	} else {
		w.UpdatedAt = formVersion(f.Form)
	}
	f.trigger(&w)
	w.Source = f.Get("source_type")
	if !slices.Contains(sourceNames, w.Source) {
		f.Fail("source_type", "err.choose")
	}
	f.hosts(&w, v.ownHost())
	if !f.json {
		f.checkFields(w.Source)
	}
	if config, ok := f.config(); ok && slices.Contains(sourceNames, w.Source) {
		w.Config = config
		f.checkConfig(v.Sources, w.Source, config)
	}
	w.Env, w.Plain = env(f.Form, f.rows, f.known)
	f.routing(&w)
	for name, values := range f.Values {
		most := 2000
		if n, ok := longest[name]; ok {
			most = n
		}
		if slices.ContainsFunc(values, func(s string) bool { return len(s) > most }) {
			f.Errors = slices.DeleteFunc(f.Errors, func(e templates.FieldError) bool { return e.Field == name })
			f.Fail(name, "err.too_long", "max", most)
		}
	}
	if f.Valid() {
		f.checkRoutes(w, v.CheckRoute)
	}
	return w
}

func (f *workloadForm) checkName(name string) {
	switch {
	case name == "":
		f.Fail("name", "err.required")
	case len(name) > app.MostName:
		f.Fail("name", "err.too_long", "max", app.MostName)
	case app.CheckName(name) != "":
		f.Fail("name", "err.slug")
	case name == "new": // the address of this form
		f.Fail("name", "err.slug_reserved", "name", name)
	}
}

// trigger reads which pushes are followed. By hand is a workload whose pushes are not: paused for good.
func (f *workloadForm) trigger(w *db.Workload) {
	before, pattern := w.RefPattern, strings.TrimSpace(f.Get("ref_pattern"))
	w.RefPattern, w.Enabled = pattern, true
	switch f.Get("trigger") {
	case "branch":
		if strings.HasPrefix(pattern, "tags/") {
			f.Fail("ref_pattern", "err.pattern_tags")
		}
	case "tag":
		if pattern == "" {
			f.Fail("ref_pattern", "err.required")
		}
		w.RefPattern = "tags/" + strings.TrimPrefix(pattern, "tags/")
	case "manual":
		if w.Enabled = false; before == "tags/"+pattern {
			w.RefPattern = before
		}
	default:
		f.Fail("trigger", "err.choose")
	}
	if problem := app.CheckRef(w.RefPattern); problem != "" && pattern != "" {
		f.Refuse("ref_pattern", templates.Message{Key: "err.pattern_wrong", Detail: problem})
	}
	w.Paths = nil
	for _, line := range listed(f.Get("path_filter")) {
		if problem := app.CheckPath(line); problem != "" {
			f.Refuse("path_filter", templates.Message{Key: "err.at", Values: []any{"path", line}, Detail: problem})
		}
		w.Paths = append(w.Paths, line)
	}
}

// ownHost is the host of Tinyforge's own address, which no workload may have.
func (v *visit) ownHost() string {
	u, err := url.Parse(v.PublicURL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func (f *workloadForm) hosts(w *db.Workload, own string) {
	seen := map[string]bool{}
	check := func(field, host string) string {
		host = strings.ToLower(strings.TrimSpace(host))
		switch {
		case strings.HasPrefix(host, "*."):
			f.Refuse(field, templates.Message{Key: "err.domain_wildcard", Values: []any{"domain", host}})
		case app.CheckHost(host) != "":
			f.Refuse(field, templates.Message{Key: "err.domain_wrong", Values: []any{"domain", host}})
		case host != "" && host == own:
			f.Fail(field, "err.domain_own", "domain", host)
		case host != "" && seen[host]:
			f.Fail(field, "err.domain_twice", "domain", host)
		}
		seen[host] = true
		return host
	}
	w.Host = check("domain", f.Get("domain"))
	w.Routing.Aliases, w.Routing.Redirects = nil, nil
	for _, host := range listed(f.Get("extra_domains")) {
		w.Routing.Aliases = append(w.Routing.Aliases, check("extra_domains", host))
	}
	for _, host := range listed(f.Get("redirects")) {
		w.Routing.Redirects = append(w.Routing.Redirects, check("redirects", host))
	}
	if w.Host == "" && len(w.Routing.Aliases)+len(w.Routing.Redirects) > 0 {
		f.Fail("domain", "err.domain_first")
	}
}

func (f *workloadForm) routing(w *db.Workload) {
	w.Routing.Paths, w.Routing.StripPrefix = listed(f.Get("route_paths")), f.Is("strip_prefix", "on")
	w.Routing.MaxBody, w.Routing.Timeout, w.Routing.BasicAuth = 0, 0, nil
	if text := f.Get("max_body"); strings.TrimSpace(text) != "" {
		n, ok := readSize(text)
		if w.Routing.MaxBody = n; !ok {
			f.Fail("max_body", "err.memory")
		}
	}
	if text := strings.TrimSpace(f.Get("route_timeout")); text != "" {
		d, err := time.ParseDuration(text)
		if w.Routing.Timeout = d; err != nil || d <= 0 {
			f.Fail("route_timeout", "err.duration")
		}
	}
	for _, row := range f.users {
		w.Routing.BasicAuth = append(w.Routing.BasicAuth, db.BasicAuth{Username: row.Name, Hash: f.known.Passwords[row.Was]})
	}
}

// checkRoutes notes what the router cannot do.
func (f *workloadForm) checkRoutes(w db.Workload, check func(db.Route) error) {
	for _, route := range w.Routes() {
		field := "route_paths"
		if route.RedirectTo != "" {
			field = "redirects"
		}
		if err := check(route); err != nil {
			f.Refuse(field, templates.Message{Detail: err.Error()})
		}
	}
}

// checkFields says of the common mistakes in the reader's language what the source would say in English.
func (f *workloadForm) checkFields(source string) {
	whole := func(name string, least, most int) {
		text := strings.TrimSpace(f.Get(name))
		if n, err := strconv.Atoi(text); text != "" && (err != nil || n < least || n > most) {
			f.Fail(name, "err.number", "min", least, "max", most)
		}
	}
	required := func(name string) {
		if strings.TrimSpace(f.Get(name)) == "" {
			f.Fail(name, "err.required")
		}
	}
	if text := strings.TrimSpace(f.Get("port")); text != "" {
		if n, err := strconv.Atoi(text); err != nil || n < 1 || n > 65535 {
			f.Fail("port", "err.port")
		}
	}
	switch source {
	case "image":
		required("image")
		if f.Get("registry_username") == "" && f.typed.Config["registry.password"] != nil {
			required("registry_username")
		}
	case "static":
		if runsDeno(f.Form) {
			required("static_entry")
		}
	}
	if isChecked(f.Form) {
		required("check_path")
		if path := f.Get("check_path"); path != "" && !strings.HasPrefix(strings.TrimSpace(path), "/") {
			f.Fail("check_path", "err.path")
		}
		whole("check_status", 100, 599)
		whole("check_attempts", 1, 10000)
		for _, name := range []string{"check_interval", "check_limit", "check_start"} {
			if text := strings.TrimSpace(f.Get(name)); text != "" {
				if _, err := time.ParseDuration(text); err != nil {
					f.Fail(name, "err.duration")
				}
			}
		}
	}
	if !slices.Contains(containers, source) {
		return
	}
	if text := f.Get("memory"); strings.TrimSpace(text) != "" {
		if _, ok := readSize(text); !ok {
			f.Fail("memory", "err.memory")
		}
	}
	if text := strings.TrimSpace(strings.Replace(f.Get("cpus"), ",", ".", 1)); text != "" {
		if n, err := strconv.ParseFloat(text, 64); err != nil || n < 0.01 || n > 1024 || !jsonNumber.MatchString(text) {
			f.Fail("cpus", "err.decimal", "min", "0.01", "max", 1024)
		}
	}
	f.checkPlacement()
	if source == "dockerfile" {
		for i, line := range strings.Split(f.Get("build_args"), "\n") {
			name, _, ok := strings.Cut(line, "=")
			if strings.TrimSpace(line) != "" && (!ok || app.CheckEnvName(strings.TrimSpace(name)) != "") {
				f.Fail("build_args", "err.env_line", "line", i+1)
			}
		}
	}
}

// matches are the refs that a pattern follows, the default branch first.
func matches(w db.Workload, repo db.Repository, refs []string) (found []string) {
	for _, ref := range refs {
		if app.Follows(w, repo, ref) {
			found = append(found, ref)
		}
	}
	slices.SortFunc(found, func(a, b string) int {
		if isDefault := "refs/heads/" + repo.DefaultBranch; a == isDefault || b == isDefault {
			if a == isDefault {
				return -1
			}
			return 1
		}
		return naturally(b, a) // the newest version first
	})
	return found
}

// naturally compares texts with the numbers in them as numbers: v9 comes before v10.
func naturally(a, b string) int {
	for a != "" && b != "" {
		na, nb := digits(a), digits(b)
		if na == "" || nb == "" {
			if a[0] != b[0] {
				return int(a[0]) - int(b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		a, b = a[len(na):], b[len(nb):]
		na, nb = strings.TrimLeft(na, "0"), strings.TrimLeft(nb, "0")
		if len(na) != len(nb) {
			return len(na) - len(nb)
		}
		if c := strings.Compare(na, nb); c != 0 {
			return c
		}
	}
	return len(a) - len(b)
}

func digits(s string) string {
	for i, c := range s {
		if c < '0' || c > '9' {
			return s[:i]
		}
	}
	return s
}
