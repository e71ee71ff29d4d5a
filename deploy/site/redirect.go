package site

import (
	"fmt"
	"net/http"
	"strconv"

	"tinyforge/deploy/shorten"
)

// Redirect is one rule about a path. With status 301, 302, 303, 307 or 308 it redirects; with 200 it answers another file
// under the same address; with 404 it does so with that status.
type Redirect struct {
	From   string `json:"from"`            // "/old", "/blog/:year/:slug", "/docs/*"
	To     string `json:"to"`              // "/new", "/posts/:slug", "https://example.com/:splat"
	Status int    `json:"status"`          // 0 means 301
	Force  bool   `json:"force,omitempty"` // also where there is a file

	At string `json:"at,omitempty"` // where it is written: "_redirects, line 3"
}

// limits on rules, which every request is held against.
const (
	maxRedirects   = 1000
	maxHeaderRules = 500
)

// rule is a Redirect that can be applied.
type rule struct {
	Redirect
	from pattern
	to   target
}

func (r rule) redirects() bool { return r.Status >= 300 && r.Status < 400 }

// compileRedirects returns the rules, and all that is wrong with them.
func compileRedirects(list []Redirect) (rules []rule, all Faults) {
	if len(list) > maxRedirects {
		return nil, Faults{{"redirects", fmt.Sprintf("are %d rules, in the config and in _redirects together: %d are allowed; "+
			"use placeholders and splats", len(list), maxRedirects)}}
	}
	for i, r := range list {
		compiled, wrong := r.compile(i)
		rules, all = append(rules, compiled), append(all, wrong...)
	}
	return rules, all
}

// fault is about a field of the i-th rule.
func (r Redirect) fault(i int, field, value, text string) Fault {
	if r.At != "" {
		return Fault{r.At, fmt.Sprintf("%q %s", shorten.Typed(value), text)}
	}
	return Fault{fmt.Sprintf("redirects[%d].%s", i, field), text}
}

// compile names the fields of a rule of the config, and for one of a file the line.
func (r Redirect) compile(i int) (c rule, all Faults) {
	fault := func(field, value, text string) { all = append(all, r.fault(i, field, value, text)) }
	if r.Status == 0 {
		r.Status = http.StatusMovedPermanently
	}
	c.Redirect = r
	var err error
	if c.from, err = parsePattern(r.From); err != nil {
		fault("from", r.From, err.Error())
		return c, all
	}
	if c.to, err = parseTarget(r.To, c.from.names()); err != nil {
		fault("to", r.To, err.Error())
	}
	switch r.Status {
	case 301, 302, 303, 307, 308:
	case 200, 404:
		if err == nil && (!c.to.local() || c.to.url.RawQuery != "" || c.to.url.Fragment != "") {
			fault("to", r.To, fmt.Sprintf("must be a path of this site for status %d: other sites are not fetched for visitors", r.Status))
		}
	default:
		fault("status", strconv.Itoa(r.Status), "is not a status of a rule: use 301, 302, 303, 307 or 308 to redirect, "+
			"200 to answer another file, or 404")
	}
	return c, all
}
