package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Image runs an image that somebody else built, from a registry. It is safe for concurrent use.
type Image struct {
	puller  Puller
	checker *checker
}

// NewImage returns an Image that pulls with p.
func NewImage(p Puller) *Image { return &Image{p, newChecker()} }

type imageConfig struct {
	common

	Image    string    `json:"image" validate:"required,max=1024"`                        // a template, see imageRef
	Platform string    `json:"platform" validate:"max=64,platform"`                       // "" means the one that Docker runs on
	Registry *registry `json:"registry" example:"{username: me, password: env:PASSWORD}"` // nil means the forge's, or none
}

// registry is the account for the image's registry.
type registry struct {
	Username string `json:"username" validate:"required,max=1024"`
	Password string `json:"password" validate:"required"`
}

func (c *imageConfig) check() Faults {
	all := c.common.check()
	if err := checkImage(c.Image); err != nil {
		all = append(all, Fault{"image", err.Error()})
	}
	return all
}

// Validate implements deploy.Source. The error is a Faults.
func (i *Image) Validate(config json.RawMessage) error {
	return i.checker.decode(config, &imageConfig{})
}

// Strategy implements deploy.Source: blue-green, unless the config asks for recreate or has a writable volume.
func (i *Image) Strategy(config json.RawMessage) (db.Strategy, string, error) {
	var c imageConfig
	if err := i.checker.decode(config, &c); err != nil {
		return "", "", invalid(err)
	}
	s, why := effectiveStrategy(&c.common, db.BlueGreen)
	return s, why, nil
}

// Build implements deploy.Source: it pulls. It needs no checkout.
func (i *Image) Build(ctx context.Context, in deploy.BuildInput, log io.Writer) (db.Release, error) {
	var c imageConfig
	if err := i.checker.decode(in.Workload.Config, &c); err != nil {
		return db.Release{}, invalid(err)
	}
	ref, err := imageRef(c.Image, in.Ref, in.Commit)
	if err != nil {
		return db.Release{}, &deploy.Failure{Text: "image: " + err.Error()}
	}
	if _, err := fmt.Fprintf(log, "Pulling %s\n", ref); err != nil {
		return db.Release{}, fmt.Errorf("write log: %w", err)
	}
	pinned, err := i.pull(ctx, deploy.PullSpec{Ref: ref, Platform: c.Platform, Auth: c.Registry.auth()}, in, log)
	if err != nil {
		return db.Release{}, err
	}
	release := c.release(in, pinned)
	release.Platform = c.Platform
	return release, nil
}

// pull pulls with the config's account or, where it has none, with the one that the forge gives us for its own registry. An
// image that everybody may see needs none: where there is no account, or the registry refuses it, that is tried.
func (i *Image) pull(ctx context.Context, spec deploy.PullSpec, in deploy.BuildInput, log io.Writer) (string, error) {
	if spec.Auth != nil || in.RegistryAuth == nil {
		return i.puller.Pull(ctx, spec, log)
	}
	host, err := registryHost(spec.Ref)
	if err != nil {
		return "", err
	}
	spec.Auth, err = in.RegistryAuth(ctx, host)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		spec.Auth = nil
		_, _ = fmt.Fprintf(log, "The forge gives no account for its registry %s: %s. Trying without one\n", host, reason(err))
	}
	pinned, refused := i.puller.Pull(ctx, spec, log)
	if spec.Auth == nil || !errors.Is(refused, deploy.ErrNoAccess) {
		return pinned, refused
	}
	_, _ = fmt.Fprintf(log, "The registry %s does not show the image to the forge's account: trying without one\n", host)
	spec.Auth = nil
	pinned, err = i.puller.Pull(ctx, spec, log)
	if errors.Is(err, deploy.ErrNoAccess) {
		return "", refused // it says more: whoever has an account is told more
	}
	return pinned, err
}

// reason is what the user may read of an error.
func reason(err error) string {
	if failure, ok := errors.AsType[*deploy.Failure](err); ok {
		return failure.Text
	}
	return "internal error"
}

func (r *registry) auth() *deploy.RegistryAuth {
	if r == nil {
		return nil
	}
	return &deploy.RegistryAuth{Username: r.Username, Password: r.Password}
}
