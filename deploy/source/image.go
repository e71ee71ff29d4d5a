package source

import (
	"context"
	"encoding/json"
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

	Image    string    `json:"image" validate:"required,max=1024"` // a template, see imageRef
	Registry *registry `json:"registry"`                           // nil means anonymously
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
	pinned, err := i.puller.Pull(ctx, ref, c.Registry.auth(), log)
	if err != nil {
		return db.Release{}, err
	}
	return c.release(in, pinned), nil
}

func (r *registry) auth() *deploy.RegistryAuth {
	if r == nil {
		return nil
	}
	return &deploy.RegistryAuth{Username: r.Username, Password: r.Password}
}
