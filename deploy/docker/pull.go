package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/pkg/jsonmessage"

	"tinyforge/deploy"
)

// Pull fetches an image and returns it pinned: "name@sha256:...". A nil auth means anonymously; no account of this machine
// is used. The log gets a line for each layer, not for each part of one.
//
// A ref that is pinned itself is not fetched when the engine has it. An image that was made on this engine and is in no
// registry is used, and returned as its id, when the registry says that it has none of that name. An image that does not
// exist, a refused account and a registry that does not answer are each a *deploy.Failure.
func (e *Engine) Pull(ctx context.Context, ref string, auth *deploy.RegistryAuth, log io.Writer) (string, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", &deploy.Failure{Text: short(fmt.Sprintf("%q is not the name of an image", ref), textLimit), Err: err}
	}
	named = reference.TagNameOnly(named)
	out := &lines{w: log, blot: blotter(nil)}
	if pinned, ok := named.(reference.Canonical); ok {
		if there, err := e.ImageExists(ctx, canonical(pinned)); err != nil || there {
			return canonical(pinned), err
		}
	}
	digest, err := e.fetch(ctx, named, auth, out)
	if err != nil {
		return e.local(ctx, named, err, out)
	}
	pinned, err := e.pin(ctx, named, digest)
	return pinned, e.explain("pull image "+ref, err)
}

// canonical is the name by digest, without the tag that may stand between.
func canonical(ref reference.Canonical) string { return ref.Name() + "@" + ref.Digest().String() }

// fetch pulls and returns the digest that the registry gave, "" when the engine does not tell.
func (e *Engine) fetch(ctx context.Context, named reference.Named, auth *deploy.RegistryAuth, out *lines) (string, error) {
	var opt image.PullOptions
	if auth != nil {
		encoded, err := registry.EncodeAuthConfig(registry.AuthConfig{
			Username:      auth.Username,
			Password:      auth.Password,
			ServerAddress: reference.Domain(named),
		})
		if err != nil {
			return "", fmt.Errorf("encode registry account: %w", err)
		}
		opt.RegistryAuth = encoded
	}
	answer, err := e.docker.ImagePull(ctx, named.String(), opt)
	if err != nil {
		return "", err
	}
	defer answer.Close()
	return readPull(ctx, answer, out)
}

func readPull(ctx context.Context, r io.Reader, out *lines) (digest string, err error) {
	for decoder := json.NewDecoder(r); ; {
		var m jsonmessage.JSONMessage
		switch err := decoder.Decode(&m); {
		case errors.Is(err, io.EOF):
			return digest, nil
		case ctx.Err() != nil:
			return "", ctx.Err()
		case err != nil:
			return "", fmt.Errorf("read the engine's answer: %w", err)
		case m.Error != nil:
			return "", m.Error
		}
		if d, found := strings.CutPrefix(m.Status, "Digest: "); found {
			digest = d
		}
		switch m.Status {
		case "Pull complete", "Already exists":
			out.emit(cleanLine(m.ID + ": " + m.Status))
		default:
			if m.ID == "" && m.Status != "" {
				out.emit(cleanLine(m.Status))
			}
		}
	}
}

// pin names what was pulled by its digest.
func (e *Engine) pin(ctx context.Context, named reference.Named, digest string) (string, error) {
	found, err := e.docker.ImageInspect(ctx, named.String())
	if err != nil {
		return "", err
	}
	pinned := ""
	for _, d := range found.RepoDigests {
		ref, err := reference.ParseNormalizedNamed(d)
		if err != nil || ref.Name() != named.Name() {
			continue
		}
		if c, ok := ref.(reference.Canonical); ok && (pinned == "" || c.Digest().String() == digest) {
			pinned = canonical(c)
		}
	}
	if pinned == "" {
		return found.ID, nil
	}
	return pinned, nil
}

// local answers a pull that failed.
func (e *Engine) local(ctx context.Context, named reference.Named, cause error, out *lines) (string, error) {
	if isOutside(cause) || !isUnknown(cause.Error()) {
		return "", e.explain("pull image "+named.String(), pullFailure(named, cause))
	}
	found, err := e.docker.ImageInspect(ctx, named.String())
	if err == nil && len(found.RepoDigests) == 0 {
		out.emit("No registry has " + reference.FamiliarString(named) + ": using the image that was made on this machine")
		return found.ID, nil
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return "", e.explain("pull image "+named.String(), err)
	}
	return "", pullFailure(named, cause)
}
