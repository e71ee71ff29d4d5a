package docker

import (
	"context"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"tinyforge/deploy"
	"tinyforge/deploy/shorten"
)

// platform reads "linux/arm/v7"; nil is the one that the engine runs on.
func platform(s string) *v1.Platform {
	if s == "" {
		return nil
	}
	parts := append(strings.SplitN(s, "/", 3), "", "")
	return &v1.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
}

// fits tells whether an image of a platform does for another. A variant that one of them does not name matters to neither.
func fits(image, wanted v1.Platform) bool {
	return image.OS == wanted.OS && image.Architecture == wanted.Architecture &&
		(image.Variant == "" || wanted.Variant == "" || image.Variant == wanted.Variant)
}

// pinFor names an image that the engine has by its id, in its own repository, if it is of the wanted platform; "" when the
// engine has none of that name.
func (e *Engine) pinFor(ctx context.Context, named reference.Named, wanted string) (string, error) {
	id, err := e.imageFor(ctx, named, wanted)
	if err != nil || id == "" {
		return "", err
	}
	pinned, err := reference.WithTag(reference.TrimNamed(named), "tinyforge-"+strings.TrimPrefix(id, "sha256:"))
	if err != nil {
		return "", fmt.Errorf("name image by its id: %w", err)
	}
	return pinned.String(), e.docker.ImageTag(ctx, id, pinned.String())
}

// imageFor returns the id of an image that the engine has, if it is of the wanted platform; "" when the engine has none of
// that name.
func (e *Engine) imageFor(ctx context.Context, named reference.Named, wanted string) (id string, err error) {
	found, err := e.docker.ImageInspect(ctx, named.String())
	if errdefs.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	is := v1.Platform{OS: found.Os, Architecture: found.Architecture, Variant: found.Variant}
	if !fits(is, *platform(wanted)) {
		text := fmt.Sprintf("Image %s: it is made for %s, and the config's platform asks for %s",
			shorten.To(reference.FamiliarString(named), 60), shorten.To(is.OS+"/"+is.Architecture, 40), wanted)
		return "", &deploy.Failure{Text: shorten.To(text, textLimit)}
	}
	return found.ID, nil
}
