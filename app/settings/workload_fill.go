package settings

import (
	"strconv"
	"strings"
	"time"

	"tinyforge/db"
)

// formOf is the form of a saved workload.
func formOf(w db.Workload, repo db.Repository) *workloadForm {
	f := &workloadForm{Form: filled(), repo: repo, saved: w, known: secretsOf(w), typed: newSecrets(), rows: savedEnv(w)}
	masked, _, _ := maskConfig(string(w.Config))
	fillConfig(f.Form, w.Source, []byte(masked))
	trigger, pattern := "branch", w.RefPattern
	if tags, ok := strings.CutPrefix(pattern, "tags/"); ok {
		trigger, pattern = "tag", tags
	}
	if !w.Enabled {
		trigger, pattern = "manual", w.RefPattern
	}
	for name, value := range map[string]string{
		"name": w.Name, "version": version(w), "trigger": trigger, "ref_pattern": pattern, "path_filter": strings.Join(w.Paths, "\n"),
		"domain": w.Host, "extra_domains": strings.Join(w.Routing.Aliases, "\n"), "redirects": strings.Join(w.Routing.Redirects, "\n"),
		"route_paths": strings.Join(w.Routing.Paths, "\n"), "strip_prefix": onOff(w.Routing.StripPrefix),
		"max_body": bytesText(w.Routing.MaxBody), "route_timeout": durationText(w.Routing.Timeout),
	} {
		f.Values.Set(name, value)
	}
	for _, u := range w.Routing.BasicAuth {
		f.users = append(f.users, guestRow{u.Username, u.Username})
	}
	f.fillRest(3)
	return f
}

// fillRest writes the rows into the form, with some that are empty, and what a new form begins with.
func (f *workloadForm) fillRest(empty int) {
	setEnv(f.Form, f.rows, empty)
	for name, value := range map[string]string{"paste_mode": "merge", "static_mode": "static", "check_path": "/"} {
		if f.Get(name) == "" {
			f.Values.Set(name, value)
		}
	}
	for _, field := range configFields {
		if field.absent != "" && f.Get(field.name) == "" {
			f.Values.Set(field.name, field.absent)
		}
	}
	if len(f.Values["volume_name"]) == 0 {
		setVolumes(f.Form, nil, 2)
	}
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// sizeUnits are the units of sizes, as the sources have them.
var sizeUnits = []struct {
	name  string
	bytes int64
}{{"TB", 1 << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}, {"B", 1}}

func bytesText(n int64) string {
	for _, unit := range sizeUnits {
		if n > 0 && n%unit.bytes == 0 {
			return strconv.FormatInt(n/unit.bytes, 10) + unit.name
		}
	}
	return ""
}

// readSize reads "256MB", "1 g" and "1000".
func readSize(s string) (n int64, ok bool) {
	s = strings.TrimSpace(strings.ToUpper(s))
	digits := strings.TrimRight(s, "KMGTIB ")
	unit := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSpace(s[len(digits):]), "B"), "I")
	f, err := strconv.ParseFloat(strings.Replace(digits, ",", ".", 1), 64)
	if err != nil || f <= 0 || f > 1<<50 {
		return 0, false
	}
	for _, u := range sizeUnits {
		if strings.TrimSuffix(u.name, "B") == unit {
			return int64(f * float64(u.bytes)), true
		}
	}
	return 0, false
}

func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	s := d.String() // "2m0s"
	if short, ok := strings.CutSuffix(s, "m0s"); ok {
		return short + "m"
	}
	return s
}
