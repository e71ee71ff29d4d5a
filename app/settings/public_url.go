package settings

import (
	"net"
	"net/url"
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

// originOf is the scheme and the host of an address.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}

// hostAndPort is the host of an address, with its port.
func hostAndPort(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return address
	}
	if host, port, err := net.SplitHostPort(u.Host); err == nil && (port == "443" || port == "80") {
		return host
	}
	return u.Host
}
