package source

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"path"
	"strings"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Dockerfile builds a repository's Dockerfile. It is safe for concurrent use.
type Dockerfile struct {
	builder Builder
	checker *checker
}

// NewDockerfile returns a Dockerfile that builds with b.
func NewDockerfile(b Builder) *Dockerfile { return &Dockerfile{b, newChecker()} }

type dockerfileConfig struct {
	common

	Context      string            `json:"context" validate:"max=1024,repopath"`    // "" means the repository
	Dockerfile   string            `json:"dockerfile" validate:"max=1024,repopath"` // "" means Dockerfile in the context
	Target       string            `json:"target" validate:"max=128,stage"`
	BuildArgs    map[string]string `json:"build_args" example:"{VERSION: \"1\"}"`
	BuildSecrets map[string]string `json:"build_secrets" example:"{npm_token: env:NPM_TOKEN}"`
}

func (c *dockerfileConfig) check() Faults {
	return faults(c.common.check(), checkEnv("build_args", c.BuildArgs), checkSecrets(c.BuildSecrets))
}

func checkSecrets(secrets map[string]string) Faults {
	var all Faults
	for id := range secrets {
		if !isName(id) {
			all = append(all, Fault{join("build_secrets", id), tagTexts["name"]})
		}
	}
	return all
}

// Validate implements deploy.Source. The error is a Faults.
func (d *Dockerfile) Validate(config json.RawMessage) error {
	return d.checker.decode(config, &dockerfileConfig{})
}

// Strategy implements deploy.Source: recreate, unless the config asks for blue-green.
func (d *Dockerfile) Strategy(config json.RawMessage) (db.Strategy, string, error) {
	var c dockerfileConfig
	if err := d.checker.decode(config, &c); err != nil {
		return "", "", invalid(err)
	}
	s, why := effectiveStrategy(&c.common, db.Recreate)
	return s, why, nil
}

// Build implements deploy.Source.
func (d *Dockerfile) Build(ctx context.Context, in deploy.BuildInput, log io.Writer) (db.Release, error) {
	var c dockerfileConfig
	if err := d.checker.decode(in.Workload.Config, &c); err != nil {
		return db.Release{}, invalid(err)
	}
	dir, err := in.Checkout(ctx)
	if err != nil {
		return db.Release{}, err
	}
	spec, err := c.spec(dir, in)
	if err != nil {
		return db.Release{}, err
	}
	image, err := d.builder.Build(ctx, spec, log)
	if err != nil {
		return db.Release{}, err
	}
	return c.release(in, image), nil
}

func invalid(err error) error {
	return &deploy.Failure{Text: "the workload's config is not valid: " + strings.ReplaceAll(err.Error(), "\n", "; ")}
}

func (c *dockerfileConfig) spec(dir string, in deploy.BuildInput) (deploy.BuildSpec, error) {
	folder := cmp.Or(c.Context, ".")
	context, err := resolve(dir, "context", folder, true)
	if err != nil {
		return deploy.BuildSpec{}, err
	}
	file, err := resolve(dir, "dockerfile", cmp.Or(c.Dockerfile, path.Join(folder, "Dockerfile")), false)
	if err != nil {
		return deploy.BuildSpec{}, err
	}
	return deploy.BuildSpec{
		Dir:        dir,
		Context:    context,
		Dockerfile: file,
		Target:     c.Target,
		Args:       c.BuildArgs,
		Secrets:    c.BuildSecrets,
		Tag:        in.Tag,
		Labels:     map[string]string{"tinyforge.workload": in.Workload.Name, "tinyforge.release": string(in.ID)},

		CacheNamespace: in.Workload.Name,
	}, nil
}
