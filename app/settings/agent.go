package settings

import (
	"strings"

	"tinyforge/templates"
)

// named is a part of what a browser says it is, and the name that people know. The first that is found counts: many call
// themselves by others' names too.
type named struct{ part, name string }

func browsers() []named {
	return []named{{"Edg", "Edge"}, {"OPR/", "Opera"}, {"YaBrowser/", "Yandex Browser"}, {"SamsungBrowser/", "Samsung Internet"},
		{"Vivaldi/", "Vivaldi"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
		{"curl/", "curl"}}
}

func systems() []named {
	return []named{{"Android", "Android"}, {"iPhone", "iOS"}, {"iPad", "iPadOS"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"},
		{"Mac OS X", "macOS"}, {"Linux", "Linux"}, {"BSD", "BSD"}}
}

// agentOf says in words what a browser says of itself.
func agentOf(agent string) templates.Message {
	browser, system := nameIn(agent, browsers()), nameIn(agent, systems())
	switch {
	case browser == "" && system == "":
		return templates.Message{Key: "agent.unknown"}
	case system == "":
		return templates.Message{Text: browser}
	case browser == "":
		return templates.Message{Text: system}
	}
	return templates.Message{Key: "agent.on", Values: []any{"browser", browser, "system", system}}
}

func nameIn(agent string, list []named) string {
	for _, n := range list {
		if strings.Contains(agent, n.part) {
			return n.name
		}
	}
	return ""
}
