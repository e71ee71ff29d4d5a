package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/pkg/jsonmessage"

	"tinyforge/deploy"
	"tinyforge/deploy/shorten"
)

// Pull fetches an image and returns it pinned: "name@sha256:...". Where a platform is asked for it is "name:tinyforge-..."
// with the image's id, a tag of this engine alone, since under any other name the engine keeps one platform at a time. No
// account of this machine is used. The log gets a line for each layer, and now and then one that says how far it is.
//
// A ref that is pinned itself is not fetched when the engine has it. An image that was made on this engine and is in no
// registry is used, and returned as its id, when the registry says that it has none of that name. An image that does not
// exist, or not for the platform, a refused account and a registry that does not answer are each a *deploy.Failure, with
// deploy.ErrNoAccess where another account could see it; so is one that was built here, or is below Config.Registry.
func (e *Engine) Pull(ctx context.Context, spec deploy.PullSpec, log io.Writer) (string, error) {
	named, err := reference.ParseNormalizedNamed(spec.Ref)
	if err != nil {
		return "", &deploy.Failure{Text: shorten.To(fmt.Sprintf("%q is not the name of an image", spec.Ref), textLimit), Err: err}
	}
	if why := e.refused(named); why != "" {
		return "", &deploy.Failure{Text: shorten.To(fmt.Sprintf("Image %s %s", shorten.To(reference.FamiliarString(named), 60), why), textLimit)}
	}
	named = reference.TagNameOnly(named)
	out := &lines{w: log, blot: blotter(nil)}
	if pinned, ok := named.(reference.Canonical); ok {
		if there, err := e.there(ctx, pinned, spec.Platform); err != nil || there != "" {
			return there, err
		}
	}
	digest, err := e.fetch(ctx, named, spec, out)
	if err != nil {
		return e.local(ctx, named, spec.Platform, err, out)
	}
	if spec.Platform != "" {
		pinned, err := e.pinFor(ctx, named, spec.Platform)
		return pinned, e.explain("pull image "+spec.Ref, err)
	}
	pinned, err := e.pin(ctx, named, digest)
	return pinned, e.explain("pull image "+spec.Ref, err)
}

// there returns a pinned image that the engine has already, as Pull does; "" when it does not have it, or for another
// platform.
func (e *Engine) there(ctx context.Context, pinned reference.Canonical, platform string) (string, error) {
	there, err := e.isThere(ctx, pinned)
	if err != nil || !there {
		return "", e.explain("inspect image "+pinned.String(), err)
	}
	if platform == "" {
		return canonical(pinned), nil
	}
	name, err := e.pinFor(ctx, pinned, platform)
	if _, other := errors.AsType[*deploy.Failure](err); other {
		return "", nil
	}
	return name, e.explain("inspect image "+pinned.String(), err)
}

// isThere tells whether the engine has an image that is pinned, and notes that it was asked for.
func (e *Engine) isThere(ctx context.Context, pinned reference.Canonical) (bool, error) {
	strangers, err := e.strangers(ctx)
	if err != nil {
		return false, err
	}
	named, err := reference.WithDigest(reference.TrimNamed(pinned), pinned.Digest())
	if err != nil {
		return false, err
	}
	return e.mark(ctx, named, strangers)
}

// canonical is the name by digest, without the tag that may stand between.
func canonical(ref reference.Canonical) string { return ref.Name() + "@" + ref.Digest().String() }

// fetch pulls and returns the digest that the registry gave, "" when the engine does not tell.
func (e *Engine) fetch(ctx context.Context, named reference.Named, spec deploy.PullSpec, out *lines) (string, error) {
	opt := image.PullOptions{Platform: spec.Platform}
	if auth := spec.Auth; auth != nil {
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
	strangers, err := e.strangers(ctx)
	if err != nil {
		return "", err
	}
	for {
		digest, err := e.fetchOnce(ctx, named, opt, out)
		if err != nil {
			return "", err
		}
		if there, err := e.mark(ctx, named, strangers); err != nil || there {
			return digest, err
		}
	}
}

func (e *Engine) fetchOnce(ctx context.Context, named reference.Named, opt image.PullOptions, out *lines) (digest string, err error) {
	answer, err := e.docker.ImagePull(ctx, named.String(), opt)
	if err != nil {
		return "", err
	}
	defer answer.Close()
	return readPull(ctx, answer, out)
}

func readPull(ctx context.Context, r io.Reader, out *lines) (digest string, err error) {
	progress := newPullProgress(out)
	err = readMessages(ctx, r, func(m jsonmessage.JSONMessage) {
		if d, found := strings.CutPrefix(m.Status, "Digest: "); found {
			digest = d
		}
		progress.show(m, time.Now())
	})
	return digest, err
}

// readMessages reads what the engine says of a pull or a push, until it has said all or that it failed.
func readMessages(ctx context.Context, r io.Reader, each func(jsonmessage.JSONMessage)) error {
	for decoder := json.NewDecoder(r); ; {
		var m jsonmessage.JSONMessage
		switch err := decoder.Decode(&m); {
		case errors.Is(err, io.EOF):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("read the engine's answer: %w", err)
		case m.Error != nil:
			return m.Error
		}
		each(m)
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
func (e *Engine) local(ctx context.Context, named reference.Named, platform string, cause error, out *lines) (string, error) {
	if isOutside(cause) || !isUnknown(cause.Error()) {
		return "", e.explain("pull image "+named.String(), pullFailure(named, platform, cause))
	}
	found, err := e.docker.ImageInspect(ctx, named.String())
	if err == nil && len(found.RepoDigests) == 0 {
		if platform != "" {
			if _, err := e.imageFor(ctx, named, platform); err != nil {
				return "", e.explain("pull image "+named.String(), err)
			}
		}
		out.emit("No registry has " + reference.FamiliarString(named) + ": using the image that was made on this machine")
		return found.ID, nil
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return "", e.explain("pull image "+named.String(), err)
	}
	return "", pullFailure(named, platform, cause)
}
