package settings

import (
	"strconv"

	"tinyforge/db"
	"tinyforge/templates"
)

// problem is what keeps pushes from being deployed, with where to look at it.
type problem struct {
	templates.Message
	Href string // "" where the visitor can do nothing about it
	Link string // key of the link's text
}

// problemsShown is how many there are on one page at most.
const problemsShown = 3

// problems are those of the server and of its forges. Nothing is waited for.
func (v *visit) problems() (list []problem, err error) {
	changes := v.user.Role.May(db.Administrator)
	add := func(key, href, link string, needed bool, values ...any) {
		if needed && !changes {
			href = ""
		}
		list = append(list, problem{templates.Message{Key: key, Values: values}, href, link})
	}
	if v.Health != nil && v.Health.ProxyAway() {
		add("check.proxy_apart_todo", "/settings/proxy", "nav.settings", true)
	}
	if free, known := v.disk.look(v.r.Context(), v.Health); known && free < v.MinFree {
		add("problem.disk", "/settings/retention", "nav.settings", true, "free", v.Size(free), "needed", v.Size(v.MinFree))
	}
	forges, err := v.DB.Forges(v.r.Context())
	if err != nil {
		return nil, err
	}
	if v.PublicURL == "" && len(forges) > 0 {
		add("problem.address", "/settings", "nav.settings", true)
	}
	for _, f := range forges {
		if f.Fault != "" {
			add("problem.forge", "/forges/"+strconv.FormatInt(f.ID, 10), "problem.look", false, "forge", f.Name)
		}
	}
	return list[:min(len(list), problemsShown)], nil
}
