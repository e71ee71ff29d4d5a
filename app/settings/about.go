package settings

import (
	"fmt"
	"net/http"
	"strings"
)

// aboutPage says what runs and how it is.
type aboutPage struct {
	Facts  []Fact
	Checks []check
	Text   string // of all, for the report of a fault; in English, without names and secrets
}

func (v *visit) about() error {
	page := aboutPage{Facts: []Fact{{Key: "version", Value: v.Version}}, Checks: v.checks(false)}
	if v.Health != nil {
		page.Facts = append(page.Facts, v.Health.Facts(v.r.Context())...)
	}
	waiting, working, err := v.DB.CountUnfinished(v.r.Context())
	if err != nil {
		return err
	}
	unreported, err := v.DB.CountUnreported(v.r.Context())
	if err != nil {
		return err
	}
	page.Facts = append(page.Facts, Fact{Key: "queued", Value: fmt.Sprint(waiting)}, Fact{Key: "in_progress", Value: fmt.Sprint(working)},
		Fact{Key: "unreported", Value: fmt.Sprint(unreported)})
	page.Text = v.report(page)
	return v.render(http.StatusOK, "about/about", frame{Title: v.say("nav.about")}, page)
}

// report is a page as text.
func (v *visit) report(page aboutPage) string {
	en := v.Templates.Printer("en", "UTC")
	var b strings.Builder
	line := func(key, value string) {
		label, err := en.T(key)
		if err != nil {
			label = key
		}
		fmt.Fprintf(&b, "%s: %s\n", label, value)
	}
	for _, f := range page.Facts {
		switch {
		case f.Named:
		case f.Bytes > 0:
			line("about."+f.Key, en.Size(f.Bytes))
		case !f.At.IsZero():
			line("about."+f.Key, en.Exact(f.At))
		case f.Text != "":
			value, err := en.T(f.Text)
			if err != nil {
				value = f.Text
			}
			line("about."+f.Key, value)
		default:
			line("about."+f.Key, f.Value)
		}
	}
	for _, c := range page.Checks {
		line("check."+c.Key, c.State)
	}
	return b.String()
}
