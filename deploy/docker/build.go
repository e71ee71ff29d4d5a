package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"

	"tinyforge/db"
	"tinyforge/deploy"
)

// Build makes an image and returns its id, "sha256:...". When the engine has an image of that tag already that this
// Tinyforge built with the same labels, that one is returned: a tag names one build.
//
// The log gets the steps and their output, a line at a time, in which values of secrets are blotted out. A write that
// fails is not noticed. A build that fails is a *deploy.Failure that names the step; ctx ends the running step at once. An engine without
// BuildKit builds nothing, which is a *deploy.Failure too.
// No account of this machine is used for base images, and none that was built here is one, but for spec's. The image carries
// spec's labels and an empty one for each other of ours, whatever its Dockerfile says.
func (e *Engine) Build(ctx context.Context, spec deploy.BuildSpec, log io.Writer) (string, error) {
	spec = e.own(spec)
	id, err := e.built(ctx, spec)
	if err != nil {
		return "", e.explain("build image "+shown(spec.Tag), err)
	}
	out := &lines{w: log, blot: blotter(spec.Secrets)}
	if id != "" {
		out.emit("Using the image " + spec.Tag + ", which is built already")
		return id, nil
	}
	if err := checkSpec(spec); err != nil {
		return "", err
	}
	if err := e.checkNamed(spec); err != nil {
		return "", err
	}
	if err := e.buildAnew(ctx, spec, out); err != nil {
		return "", e.explain("build image "+shown(spec.Tag), err)
	}
	id, err = e.built(ctx, spec)
	switch {
	case err == nil && id == "":
		err = errors.New("the engine built an image and does not have it, or not with our labels")
	case err == nil: // BuildKit does not note when, on some engines; see newestBases
		err = e.docker.ImageTag(ctx, id, spec.Tag)
	}
	return id, e.explain("build image "+shown(spec.Tag), err)
}

// own makes the image, and the caches of its build, those of this Tinyforge.
func (e *Engine) own(spec deploy.BuildSpec) deploy.BuildSpec {
	spec.Labels = e.imageLabels(spec)
	spec.CacheNamespace = e.cfg.Instance + "/" + spec.CacheNamespace
	return spec
}

// built returns the image of the tag, if it carries the labels; else "".
func (e *Engine) built(ctx context.Context, spec deploy.BuildSpec) (string, error) {
	found, err := e.docker.ImageInspect(ctx, spec.Tag)
	if errdefs.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for name, value := range spec.Labels {
		if found.Config == nil || found.Config.Labels[name] != value {
			return "", nil
		}
	}
	return found.ID, nil
}

// checkSpec finds early what the builder would report in the words of its own file system.
func checkSpec(spec deploy.BuildSpec) error {
	file, err := os.Stat(filepath.Join(spec.Dir, filepath.FromSlash(spec.Dockerfile)))
	if err != nil || !file.Mode().IsRegular() {
		return &deploy.Failure{Text: fmt.Sprintf("Build failed: there is no file %s in the repository", path.Clean(spec.Dockerfile)),
			Fault: deploy.FaultOf("no_dockerfile", "path", path.Clean(spec.Dockerfile)), Err: err}
	}
	folder, err := os.Stat(filepath.Join(spec.Dir, filepath.FromSlash(spec.Context)))
	if err != nil || !folder.IsDir() {
		return &deploy.Failure{Text: fmt.Sprintf("Build failed: there is no folder %s in the repository", path.Clean(spec.Context)), Err: err}
	}
	return nil
}

func (e *Engine) buildAnew(ctx context.Context, spec deploy.BuildSpec, out *lines) error {
	kit, err := e.buildkit(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		if _, gone := e.docker.Ping(ctx); gone != nil {
			return gone
		}
		if mentions(err.Error(), "unable to upgrade to h2c") { // it answers, and not as one that has it
			return &deploy.Failure{Text: "This Docker has no BuildKit, with which Tinyforge builds: upgrade to Docker Engine 20.10 or newer", Err: err}
		}
		return err
	}
	defer kit.Close()
	return e.solve(ctx, kit, spec, out)
}

// ImageExists tells whether the engine has an image, by tag or id.
func (e *Engine) ImageExists(ctx context.Context, ref string) (bool, error) {
	_, err := e.docker.ImageInspect(ctx, ref)
	if errdefs.IsNotFound(err) {
		return false, nil
	}
	return err == nil, e.explain("inspect image "+ref, err)
}

// Ready implements deploy.Runtime.
func (e *Engine) Ready(ctx context.Context, r db.Release) error {
	for _, image := range r.AllImages() {
		there, err := e.ImageExists(ctx, image)
		if err != nil {
			return err
		}
		if !there {
			return &deploy.Failure{Text: fmt.Sprintf("The image of release %s was removed from Docker: redeploy its commit to build it again", r.ID)}
		}
	}
	return nil
}

// RemoveImage removes a tag, or an image by its id with all its tags. An absent one is not an error; one in use is.
func (e *Engine) RemoveImage(ctx context.Context, ref string) error {
	_, err := e.docker.ImageRemove(ctx, ref, image.RemoveOptions{PruneChildren: true})
	if errdefs.IsNotFound(err) {
		return nil
	}
	return e.explain("remove image "+ref, err)
}
