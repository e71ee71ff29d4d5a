package source

import (
	"errors"
	"fmt"
	"strings"

	"github.com/distribution/reference"

	"tinyforge/deploy"
	"tinyforge/deploy/shorten"
)

// imageRef fills in an image template and returns a complete reference, such as "docker.io/library/web:1f0c2ab". The
// template may use
//
//	{{.Commit}}       the full hash
//	{{.ShortCommit}}  its first 7 characters
//	{{.Ref}}          the branch or tag, with what an image tag cannot hold made "-": "feature-x"
//	{{.Tag}}          the same, for pushed tags only: for a branch it is an error
func imageRef(template, ref, commit string) (string, error) {
	name, err := expand(template, func(variable string) (string, error) {
		switch variable {
		case ".Commit":
			return commit, nil
		case ".ShortCommit":
			return commit[:min(7, len(commit))], nil
		case ".Ref":
			return tagOf(strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/tags/")), nil
		case ".Tag":
			tag, ok := strings.CutPrefix(ref, "refs/tags/")
			if !ok {
				return "", fmt.Errorf("{{.Tag}} needs the push of a tag, and this is %s: limit the workload to tags/*, or "+
					"use {{.Ref}}", shorten.Typed(ref))
			}
			return tagOf(tag), nil
		default:
			return "", fmt.Errorf("unknown {{%s}}: use {{.Commit}}, {{.ShortCommit}}, {{.Ref}} or {{.Tag}}", shorten.Typed(variable))
		}
	})
	if err != nil {
		return "", err
	}
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", fmt.Errorf("%q is not a valid image name: %w", shorten.Typed(name), err)
	}
	if deploy.IsBuiltHere(named) {
		return "", fmt.Errorf("%q is refused: %s", shorten.Typed(name), builtHereText)
	}
	return reference.TagNameOnly(named).String(), nil
}

const builtHereText = deploy.BuiltPrefix + " is where the images that are built here have their names, those of other workloads too; " +
	"push the image to a registry, or give it another name"

// registryHost returns the registry of a complete reference: "ghcr.io".
func registryHost(ref string) (string, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", fmt.Errorf("read image name: %w", err)
	}
	return reference.Domain(named), nil
}

// checkImage checks a template as far as that can be done before a push.
func checkImage(template string) error {
	_, err := imageRef(template, "refs/tags/v1", strings.Repeat("0", 40))
	return err
}

// expand replaces each {{name}} by its value.
func expand(template string, value func(name string) (string, error)) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(template, "{{")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}}")
		if !closed {
			return "", errors.New(`"{{" without "}}"`)
		}
		v, err := value(strings.TrimSpace(name))
		if err != nil {
			return "", err
		}
		b.WriteString(v)
		template = after
	}
}

// tagOf turns the name of a branch or tag into an image tag; what has no valid character in it becomes "".
func tagOf(name string) string {
	const longest = 128
	tag := strings.Map(func(r rune) rune {
		if isNoNameRune(r) {
			return '-'
		}
		return r
	}, name)
	tag = strings.TrimLeft(tag, ".-")
	return tag[:min(longest, len(tag))]
}
