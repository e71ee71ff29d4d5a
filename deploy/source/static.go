package source

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"tinyforge/db"
	"tinyforge/deploy"
	"tinyforge/deploy/shorten"
)

// ImageBuilder is a Builder that can tell whether an image is there. It must be safe for concurrent use.
type ImageBuilder interface {
	Builder
	ImageExists(ctx context.Context, ref string) (bool, error)
}

// Static serves files of a repository or, in mode "deno", runs a Deno program of it. It is safe for concurrent use.
type Static struct {
	builder ImageBuilder
	checker *checker
	server  *siteServer
}

// NewStatic returns a Static that builds with b. program is the path of the Tinyforge that is put into the images of sites
// to serve them: it has to be linked statically, which is found out by the first build that needs it.
func NewStatic(b ImageBuilder, program string) *Static {
	return &Static{b, newChecker(), &siteServer{builder: b, program: program}}
}

type staticConfig struct {
	common

	Mode string `json:"mode"`                              // "" means "static"
	Root string `json:"root" validate:"max=1024,repopath"` // folder with the site or the program; "" means the repository

	// mode "static"
	SPA       bool                         `json:"spa"`
	NotFound  string                       `json:"not_found" validate:"max=1024,repopath"`                       // in root; "" means 404.html where there is one
	Headers   map[string]map[string]string `json:"headers" example:"{\"/assets/*\": {Cache-Control: no-cache}}"` // fields by path
	Redirects []redirect                   `json:"redirects" example:"[{from: /old, to: /new}]" validate:"dive"`

	// mode "deno"
	Entrypoint  string      `json:"entrypoint" validate:"max=1024,repopath"` // in root
	Serve       bool        `json:"serve"`                                   // it exports what answers requests: run it with deno serve
	Task        string      `json:"task" validate:"max=128,task"`            // of deno.json, run when the image is built
	Storage     storage     `json:"storage" example:"{enabled: true}"`
	Permissions permissions `json:"permissions" example:"{net: [api.example.com]}"`
	DenoImage   string      `json:"deno_image" validate:"max=1024"` // "" means defaultDenoImage
}

// mode is one of the two ways to be a static site.
type mode interface {
	// check finds what the mode lacks, and what is set that it has no use for.
	check(c *staticConfig) Faults
	// build makes the image out of what is staged.
	build(ctx context.Context, s *Static, c *staticConfig, st *stage) (image string, err error)
	// run completes the release.
	run(c *staticConfig, r *db.Release)
}

// modes are the modes by the name in the config.
var modes = map[string]mode{"static": plainMode{}, "deno": denoMode{}}

func (c *staticConfig) mode() mode { return modes[cmp.Or(c.Mode, "static")] }

func (c *staticConfig) check() Faults {
	m := c.mode()
	if m == nil {
		return faults(c.common.check(), Faults{{"mode", fmt.Sprintf(`%q is not known: use "static" for files, or "deno" for a program`, shorten.Typed(c.Mode))}})
	}
	return faults(c.common.check(), m.check(c))
}

// Validate implements deploy.Source. The error is a Faults.
func (s *Static) Validate(config json.RawMessage) error {
	return s.checker.decode(config, &staticConfig{})
}

// Strategy implements deploy.Source: recreate, unless the config asks for blue-green; and recreate, whatever it asks for,
// where there is storage, since blue-green would mount one volume, to be read and written, into two containers at once.
func (s *Static) Strategy(config json.RawMessage) (db.Strategy, string, error) {
	var c staticConfig
	if err := s.checker.decode(config, &c); err != nil {
		return "", "", invalid(err)
	}
	strategy, why := effectiveStrategy(&c.common, db.Recreate)
	if c.Storage.Enabled && strategy != db.Recreate {
		return db.Recreate, fmt.Sprintf("the site has storage, and %s would mount its volume %q into two containers at once",
			strategy, shorten.Typed(c.Storage.Name)), nil
	}
	return strategy, why, nil
}

// Build implements deploy.Source.
func (s *Static) Build(ctx context.Context, in deploy.BuildInput, log io.Writer) (db.Release, error) {
	var c staticConfig
	if err := s.checker.decode(in.Workload.Config, &c); err != nil {
		return db.Release{}, invalid(err)
	}
	dir, err := in.Checkout(ctx)
	if err != nil {
		return db.Release{}, err
	}
	st, err := newStage(dir, cmp.Or(c.Root, "."), in, log)
	if err != nil {
		return db.Release{}, err
	}
	defer st.close()
	image, err := c.mode().build(ctx, s, &c, st)
	if err != nil {
		return db.Release{}, err
	}
	release := c.release(in, image)
	release.User, release.ReadOnly = c.user(), true
	if release.Capabilities == nil {
		release.Capabilities = []string{}
	}
	c.mode().run(&c, &release)
	return release, nil
}

// siteUser is nobody in particular.
const siteUser = "65532:65532"

func (c *staticConfig) user() string { return cmp.Or(c.User, siteUser) }

// only finds what is set and is of another mode.
func only(other string, set map[string]bool) (all Faults) {
	for field, isSet := range set {
		if isSet {
			all = append(all, Fault{field, fmt.Sprintf("is for mode %q: leave it out, or set mode to %q", other, other)})
		}
	}
	return all
}
