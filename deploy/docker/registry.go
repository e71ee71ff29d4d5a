package docker

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"tinyforge/deploy"
	"tinyforge/deploy/shorten"
)

// pullFailure says in one short sentence why a pull failed. It has no cause but deploy.ErrNoAccess: what the engine said is
// in part the registry's own text, which could reflect the account that it was given.
func pullFailure(named reference.Named, platform string, err error) error {
	if deploy.IsFull(err.Error()) {
		return &deploy.Failure{Text: deploy.FullText}
	}
	if isOutside(err) {
		return err
	}
	why := cmp.Or(registryText(err.Error()), "it could not be pulled; Docker's own log says why")
	switch {
	case platform == "":
	case isOtherPlatform(err.Error()):
		why = "it is not made for " + platform + ", which the config's platform asks for"
	case mentions(err.Error(), "cannot overwrite digest"): // the engine has it for another one, and keeps one only
		why = "name the digest of its image for " + platform + ", not of them all"
	}
	image := shorten.To(reference.FamiliarString(named), 60)
	failure := &deploy.Failure{Text: shorten.To(fmt.Sprintf("Image %s: %s", image, why), textLimit)}
	switch {
	case isUnauthorized(err.Error()):
		failure.Fault = deploy.FaultOf("image_denied", "image", image)
	case isUnknown(err.Error()):
		failure.Fault = deploy.FaultOf("image_missing", "image", image)
	}
	if isUnauthorized(err.Error()) || isUnknown(err.Error()) {
		failure.Err = deploy.ErrNoAccess
	}
	return failure
}

// httpStatus finds the status that a registry answered, as engines and BuildKit tell one that they did not expect.
var httpStatus = regexp.MustCompile(`(?i)unexpected (?:http )?status[^\n]*?: ([1-5]\d\d)\b`)

// registryText is what an answer of a registry, or the want of one, means to the user, in words of ours only; "" when we do
// not know it. The engine hands such answers on as text that differs by engine and by registry.
func registryText(text string) string {
	switch {
	case isUnauthorized(text):
		return "the registry refuses us: it needs a username and password that may read the image"
	case isOtherPlatform(text):
		return "it is not made for the kind of machine that Docker runs on"
	case isUnknown(text):
		return "the registry has no such image, or shows it to an account only"
	case mentions(text, "toomanyrequests", "too many requests", "rate limit"):
		return "the registry has had too many requests from here: deploy again later"
	case mentions(text, "x509: "):
		return "Docker does not trust its registry's certificate"
	case mentions(text, "http response to https client"):
		return "its registry speaks plain HTTP: name it in Docker's insecure-registries"
	case mentions(text, "no such host", "connection refused", "connection reset", "timeout", "deadline exceeded", "awaiting headers",
		"server misbehaving", "unreachable", "no route to host", "failed to do request", ": eof"):
		return "its registry does not answer: check the name and the network"
	}
	if status := httpStatus.FindStringSubmatch(text); status != nil {
		return "its registry answered with HTTP status " + status[1]
	}
	return ""
}

// isUnknown tells whether a registry answered that it has no such image, or none that it would show us.
func isUnknown(text string) bool {
	return !isUnauthorized(text) && !isOtherPlatform(text) &&
		mentions(text, "manifest unknown", "name unknown", "not found", "access denied", "denied: ", "authorization failed")
}

func isOtherPlatform(text string) bool {
	return mentions(text, "no matching manifest", "no match for platform")
}

func isUnauthorized(text string) bool {
	return mentions(text, "unauthorized", "authentication required", "no basic auth credentials", "incorrect username or password")
}

func mentions(text string, signs ...string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(signs, func(sign string) bool { return strings.Contains(text, sign) })
}
