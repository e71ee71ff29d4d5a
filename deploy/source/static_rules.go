package source

import (
	"maps"
	"slices"

	"tinyforge/deploy/site"
)

// redirect is the config of a site.Redirect.
type redirect struct {
	From   string `json:"from" validate:"required"`
	To     string `json:"to" validate:"required"`
	Status int    `json:"status" example:"301"` // 0 means 301
	Force  bool   `json:"force"`
}

// checkRules finds what is wrong with the rules as far as one can see without a checkout: a loop depends on its files.
func (c *staticConfig) checkRules() (all Faults) {
	for _, f := range site.Check(c.redirects(), c.headers()) {
		all = append(all, Fault{f.At, f.Text})
	}
	return all
}

func (c *staticConfig) redirects() []site.Redirect {
	list := make([]site.Redirect, 0, len(c.Redirects))
	for _, r := range c.Redirects {
		list = append(list, site.Redirect{From: r.From, To: r.To, Status: r.Status, Force: r.Force})
	}
	return list
}

// headers are in order of path, so that what is for all paths comes before what is for some.
func (c *staticConfig) headers() []site.HeaderRule {
	list := make([]site.HeaderRule, 0, len(c.Headers))
	for _, at := range slices.Sorted(maps.Keys(c.Headers)) {
		rule := site.HeaderRule{For: at}
		for _, name := range slices.Sorted(maps.Keys(c.Headers[at])) {
			rule.Fields = append(rule.Fields, site.Header{Name: name, Value: c.Headers[at][name], Set: true, At: join(join("headers", at), name)})
		}
		rule.At = join("headers", at)
		list = append(list, rule)
	}
	return list
}
