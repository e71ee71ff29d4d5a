package settings

import (
	"crypto/rand"
	"errors"
	"net/url"
	"slices"
	"strings"

	"tinyforge/app"
	"tinyforge/templates"
)

const longestForgeName = 40

// checkForgeName notes what is wrong with the name of a forge, which is a part of its webhook's address.
func checkForgeName(form *templates.Form, field string) {
	name := form.Get(field)
	switch {
	case len(name) > longestForgeName:
		form.Fail(field, "err.too_long", "max", longestForgeName)
	case name != forgeName(name), name == "":
		form.Fail(field, "err.forge_name")
	}
}

// forgeName makes a name of a forge out of a text: lower case letters, digits and hyphens.
func forgeName(text string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, strings.ToLower(strings.TrimSpace(text)))
	name = strings.Trim(name, "-")
	return strings.Trim(name[:min(len(name), longestForgeName)], "-")
}

// address returns a field's address without a trailing slash, and notes what is wrong with it.
func typedAddress(form *templates.Form, field string) string {
	raw := strings.TrimRight(strings.TrimSpace(form.Get(field)), "/")
	if raw != "" && !strings.Contains(raw, "://") {
		raw = "https://" + raw
	}
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		form.Fail(field, "err.required")
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", len(raw) > 300:
		form.Fail(field, "err.url")
	case u.User != nil:
		form.Fail(field, "err.url_userinfo")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		form.Fail(field, "err.url")
	}
	return raw
}

// networkOffer is a network that somebody may allow for a forge, in a form that was refused for it.
type networkOffer struct {
	Word string // as in a forge's Networks
	Host string // whose address is in it
}

// allowed are the networks that the boxes of a form allow, beside those that were before.
func allowed(form *templates.Form, before ...string) []string {
	words := slices.Clone(before)
	for _, word := range form.Values["allow"] {
		if _, err := app.ParseNetworks([]string{word}); err == nil && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return words
}

// refused notes that an address lies in a network that is not allowed. It returns what could allow it, where something can.
func refused(form *templates.Form, field, address string, err error) (offer *networkOffer, ok bool) {
	refusal, ok := errors.AsType[*app.RefusedError](err)
	if !ok {
		return nil, false
	}
	host := hostAndPort(address)
	if refusal.Network() == "" {
		form.Fail(field, "err.host_never", "host", host)
		return nil, true
	}
	form.Fail(field, "err.host_private", "host", host, "network", refusal.Addr.String())
	return &networkOffer{refusal.Network(), host}, true
}

// newSecret is a secret that nobody has to type.
func newSecret() string { return strings.ToLower(rand.Text() + rand.Text()) }
