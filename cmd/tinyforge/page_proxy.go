package main

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"tinyforge/app/settings"
)

// proxyCommands start this server, with its own options, with each kind of proxy. What it does not know, such as an account
// of a proxy that it does not use, has an example in its place.
func (c *config) proxyCommands(s sites) []settings.ProxyCommand {
	at := c.sitesOptions(s)
	socket := ""
	if c.ProxySocket != "" {
		socket = option("proxy-socket", c.ProxySocket)
	}
	data := ""
	switch {
	case s.Folder() != "":
		data = option("data", s.Folder())
	case c.Router == "proxy" && c.ProxySocket != "":
		data = " --data FOLDER-OF-THE-PROXY" // it has one of its own, most likely
	case c.Options["data"] != "":
		data = option("data", c.Data)
	}
	npm := option("npm-url", cmp.Or(c.NPMURL, "http://127.0.0.1:81")) + option("npm-proxy", cmp.Or(c.NPMProxy, "127.0.0.1:80")) +
		option("npm-identity", cmp.Or(c.NPMIdentity, "you@example.com")) + c.optionsOf("serve", func(name string) bool {
		return slices.Contains([]string{"npm-forward", "npm-adopt", "npm-grace"}, name)
	})
	serve := func(router string) string {
		return "tinyforge serve --router " + router + c.optionsOf("serve", isShared)
	}
	return []settings.ProxyCommand{
		{Kind: "built_in", Text: serve("builtin") + at},
		{Kind: "apart", Text: "tinyforge proxy" + data + c.optionsOf("proxy", func(name string) bool { return isShared(name) && name != "data" }) + at + socket +
			"\n" + serve("proxy") + socket},
		{Kind: "npm", Text: serve("npm") + npm},
	}
}

// isShared tells whether an option means the same whatever serves the sites.
func isShared(name string) bool {
	own := name == "router" || name == "internal-ca" || name == "access-log"
	for _, prefix := range []string{"proxy-", "acme-", "npm-"} {
		own = own || strings.HasPrefix(name, prefix)
	}
	return !own
}

// optionsOf are those that were given of a command's, in order.
func (c *config) optionsOf(command string, want func(name string) bool) string {
	var b strings.Builder
	of, _ := commandNamed(command)
	for _, name := range slices.Sorted(maps.Keys(c.Options)) {
		switch {
		case !of.uses(name) || !want(name):
		case name == "data": // which is a whole path
			b.WriteString(option(name, c.Data))
		default:
			b.WriteString(option(name, c.Options[name]))
		}
	}
	return b.String()
}

// sitesOptions are where the built-in proxy serves, and how it gets its certificates.
func (c *config) sitesOptions(s sites) string {
	http, https := c.ProxyHTTP, c.ProxyHTTPS
	if h, hs := s.Serves(); c.Router == "proxy" && (h != "" || hs != "") {
		http, https = h, hs
	}
	if c.Router == "proxy" && http == "" && https == "" { // off for this process, and not known of the other
		http, https = defaultHTTP, defaultHTTPS
	}
	text := option("proxy-http", cmp.Or(http, off)) + option("proxy-https", cmp.Or(https, off))
	if c.AccessLog != "" {
		text += option("access-log", c.AccessLog)
	}
	email := c.ACMEEmail
	if c.Router != "builtin" {
		email = "you@example.com"
	}
	switch {
	case https == "":
	case c.InternalCA:
		text += " --internal-ca"
	default:
		if c.ACMECA != "" {
			text += option("acme-ca", c.ACMECA)
		}
		if email != "" {
			text += option("acme-email", email)
		}
	}
	return text
}

// option writes an option for a shell.
func option(name, value string) string {
	odd := func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@,=+%", r)
	}
	if value == "" || strings.ContainsFunc(value, odd) {
		value = "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
	}
	return " --" + name + " " + value
}
