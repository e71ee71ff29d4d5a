package settings

import (
	"tinyforge/db"
)

// settingsTab is a page of the settings, and who may see it.
type settingsTab struct {
	tab
	needs db.Role
}

func settingsTabs() []settingsTab {
	return []settingsTab{
		{tab{Key: "people.general", Href: "/settings"}, db.Viewer},
		{tab{Key: "people.password", Href: "/settings/password"}, db.Viewer},
		{tab{Key: "people.sessions", Href: "/settings/sessions"}, db.Viewer},
		{tab{Key: "people.tokens", Href: "/settings/tokens"}, db.Viewer},
		{tab{Key: "people.users", Href: "/settings/users"}, db.Administrator},
		{tab{Key: "people.proxy", Href: "/settings/proxy"}, db.Administrator},
		{tab{Key: "people.networks", Href: "/settings/networks"}, db.Administrator},
		{tab{Key: "people.retention", Href: "/settings/retention"}, db.Administrator},
	}
}

// settingsFrame is around a page of the settings. More are the steps below the tab's page.
func (v *visit) settingsFrame(key string, more ...crumb) frame {
	f := frame{Section: "settings", Heading: v.say(key), Crumbs: []crumb{{v.say("nav.settings"), "/settings"}}}
	f.Title = f.Heading + " · " + v.say("nav.settings")
	for _, t := range settingsTabs() {
		if t.Current = t.Key == key; t.Current && len(more) > 0 {
			f.Crumbs = append(f.Crumbs, crumb{v.say(key), t.Href})
		}
		if v.user.Role.May(t.needs) {
			f.Tabs = append(f.Tabs, t.tab)
		}
	}
	if len(more) > 0 {
		f.Crumbs = append(f.Crumbs, more...)
		f.Heading = more[len(more)-1].Text
		f.Title = f.Heading + " · " + f.Title
	} else {
		f.Crumbs = append(f.Crumbs, crumb{Text: f.Heading})
	}
	return f
}
