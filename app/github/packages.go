package github

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"tinyforge/app"
)

// packageEvent is what we read of the events package and registry_package. Both are sent for one image that is published,
// and one for each of its tags; the parts of an image for several platforms have none. Not all have a repository.
type packageEvent struct {
	Action     string           `json:"action"`
	Repository *repositoryEntry `json:"repository"`
	Package    publishedPackage `json:"package"`
	Registry   publishedPackage `json:"registry_package"`
}

type publishedPackage struct {
	Type     string         `json:"package_type"`
	Version  packageVersion `json:"package_version"`
	Registry struct {
		Type string `json:"type"`
	} `json:"registry"`
}

type packageVersion struct {
	Version  string `json:"version"`     // the digest
	URL      string `json:"package_url"` // "ghcr.io/acme/site:1"; ends in ":" without a tag
	Branch   string `json:"target_commitish"`
	Commit   string `json:"target_oid"`
	Metadata struct {
		Tag struct {
			Name   string `json:"name"`
			Digest string `json:"digest"`
		} `json:"tag"`
		Labels struct {
			All map[string]string `json:"all_labels"`
		} `json:"labels"`
	} `json:"container_metadata"`
}

func (f *Forge) decodePackage(text []byte, p *app.Push) (err error) {
	var e packageEvent
	if json.Unmarshal(text, &e) != nil {
		return fmt.Errorf("%w: the package event is not the JSON that it should be", app.ErrMalformed)
	}
	what := e.Package
	if what.Type == "" {
		what = e.Registry
	}
	kind := strings.ToLower(cmp.Or(what.Registry.Type, what.Type)) // package_type is not always right
	switch {
	case kind != "container":
		return fmt.Errorf("%w: a package of type %q is no container image", app.ErrIgnored, app.FirstLine(kind))
	case !slices.Contains([]string{"published", "updated"}, e.Action):
		return fmt.Errorf("%w: a package that was %s deploys nothing", app.ErrIgnored, app.FirstLine(e.Action))
	}
	if e.Repository != nil {
		if p.Repository, err = e.Repository.row(f.row.ID); err != nil {
			return err
		}
	}
	return what.Version.into(p)
}

func (v *packageVersion) into(p *app.Push) error {
	image, tag, ok := app.ParseImage(strings.TrimSuffix(v.URL, ":"))
	if !ok {
		return fmt.Errorf("%w: a package event without the name of an image", app.ErrMalformed)
	}
	p.Package = &app.Package{Image: image, Tag: cmp.Or(tag, v.Metadata.Tag.Name)}
	if _, _, ok := app.ParseImage(p.Package.Name()); !ok {
		return fmt.Errorf("%w: a package event with a tag that is none", app.ErrMalformed)
	}
	for _, digest := range []string{v.Version, v.Metadata.Tag.Digest} {
		if p.Package.Digest == "" && app.ValidDigest(digest) {
			p.Package.Digest = digest
		}
	}
	for _, commit := range []string{v.Commit, v.Metadata.Labels.All["org.opencontainers.image.revision"]} {
		isDigest := "sha256:"+commit == p.Package.Digest // that too is sent as one
		if p.Commit == "" && app.ValidHash(commit) && !app.ZeroHash(commit) && !isDigest {
			p.Commit = commit
		}
	}
	if ref := "refs/heads/" + v.Branch; app.ValidRef(ref) && !app.ValidHash(v.Branch) {
		p.Ref = ref
	}
	return nil
}
