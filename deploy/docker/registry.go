package docker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"tinyforge/deploy"
)

// pullFailure says in one short sentence why a pull failed.
func pullFailure(named reference.Named, err error) error {
	if isOutside(err) {
		return err
	}
	text := fmt.Sprintf("Image %s: %s", short(reference.FamiliarString(named), 60), registryText(daemonText(err)))
	return &deploy.Failure{Text: short(text, textLimit), Err: err}
}

// registryText is what an answer of a registry, or the want of one, means to the user. The engine hands such answers on as
// text, in words that differ by engine and by registry.
func registryText(text string) string {
	switch {
	case isUnauthorized(text):
		return "the registry refuses us: it needs a username and password that may read the image"
	case isUnknown(text):
		return "the registry has no such image, or shows it to an account only"
	case mentions(text, "no such host", "connection refused", "connection reset", "timeout", "deadline exceeded", "awaiting headers",
		"server misbehaving", "unreachable", "no route to host", "failed to do request", ": eof"):
		return "its registry does not answer: check the name and the network"
	}
	return text
}

// isUnknown tells whether a registry answered that it has no such image, or none that it would show us.
func isUnknown(text string) bool {
	return !isUnauthorized(text) &&
		mentions(text, "manifest unknown", "name unknown", "not found", "access denied", "denied: ", "authorization failed")
}

func isUnauthorized(text string) bool {
	return mentions(text, "unauthorized", "authentication required", "no basic auth credentials", "incorrect username or password")
}

func mentions(text string, signs ...string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(signs, func(sign string) bool { return strings.Contains(text, sign) })
}
