package settings

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// publicURL is where forges and people reach this Tinyforge, without a trailing slash: what is configured, else what the
// browser calls it.
func (v *visit) publicURL() string {
	if v.PublicURL != "" {
		return v.PublicURL
	}
	return v.origin()
}

// publicHost is the host of publicURL.
func (v *visit) publicHost() string {
	u, err := url.Parse(v.publicURL())
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// privateHost tells whether nobody outside of our own network can reach a host, as far as its name says.
func privateHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		a = a.Unmap()
		return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsUnspecified()
	}
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	return !strings.Contains(name, ".") || slices.ContainsFunc([]string{".local", ".lan", ".internal", ".home.arpa", ".localhost"},
		func(end string) bool { return strings.HasSuffix(name, end) })
}

// hostOf is the host of an address, with its port.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return address
	}
	if host, port, err := net.SplitHostPort(u.Host); err == nil && (port == "443" || port == "80") {
		return host
	}
	return u.Host
}
