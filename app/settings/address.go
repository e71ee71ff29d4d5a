package settings

import (
	"net/netip"
	"net/url"
	"strings"

	"tinyforge/templates"
)

// checkAddress notes what is wrong with the address of this Tinyforge, and returns it as it is stored.
func checkAddress(form *templates.Form, field string) string {
	text := strings.TrimRight(strings.TrimSpace(form.Get(field)), "/")
	u, err := url.Parse(text)
	switch {
	case text == "":
		form.Fail(field, "err.required")
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		form.Fail(field, "err.url")
	case u.User != nil:
		form.Fail(field, "err.url_userinfo")
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		form.Fail(field, "err.url_path")
	default:
		u.Host = strings.ToLower(u.Host)
		return u.String()
	}
	return text
}

// hostOf is the host of an address, without a port.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// addressNotes are what somebody should know of an address that is right in itself.
func addressNotes(address string) (notes []templates.Message) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "":
	case privateHost(u.Hostname()):
		notes = append(notes, unreached(u.Hostname()))
	case u.Scheme == "http":
		notes = append(notes, templates.Message{Key: "text.plain_http", Values: []any{"host", u.Hostname()}})
	}
	return notes
}

// unreached says who cannot reach a private host, and what comes of it.
func unreached(host string) templates.Message {
	m := templates.Message{Key: "text.private_address", Values: []any{"host", host}}
	if loopback(host) {
		m.Key = "text.loopback_address"
	}
	return m
}

// loopback tells whether each machine means itself by a host.
func loopback(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.Unmap().IsLoopback()
}

// localNames are ends of names that exist in a private network only.
func localNames() []string {
	return []string{".local", ".lan", ".internal", ".home.arpa", ".localhost", ".home", ".intranet"}
}

// privateHost tells whether a host is one that nobody reaches from outside.
func privateHost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap()
		shared := netip.MustParsePrefix("100.64.0.0/10")
		return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || shared.Contains(ip)
	}
	for _, end := range localNames() {
		if strings.HasSuffix(host, end) {
			return true
		}
	}
	return !strings.Contains(host, ".")
}
