package app

import (
	"net/url"
	"regexp"
	"strings"
)

var (
	imageName = regexp.MustCompile(`^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+$`)
	imageTag  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	digest    = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// ParseImage splits an image's name on a registry, "ghcr.io/acme/site:1", as a registry spells it: all but the tag in lower
// case. The tag may be missing. It reports false for what is no such name.
func ParseImage(name string) (image, tag string, ok bool) {
	image = name
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		image, tag = name[:i], name[i+1:]
	}
	image = strings.ToLower(image)
	return image, tag, len(name) <= 512 && imageName.MatchString(image) && (tag == "" || imageTag.MatchString(tag))
}

// ValidDigest tells whether s is the digest of an image.
func ValidDigest(s string) bool { return digest.MatchString(s) }

// SameHost tells whether registry, "HOST" or "HOST:PORT", is the host and port of an address.
func SameHost(address, registry string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return false
	}
	return withPort(u.Host, u.Scheme) == withPort(registry, u.Scheme)
}

// withPort adds the port that the scheme has by default.
func withPort(host, scheme string) string {
	u := url.URL{Scheme: scheme, Host: strings.ToLower(host)}
	if u.Port() == "" {
		port := "443"
		if scheme == "http" {
			port = "80"
		}
		return strings.TrimSuffix(u.Host, ":") + ":" + port
	}
	return u.Host
}
